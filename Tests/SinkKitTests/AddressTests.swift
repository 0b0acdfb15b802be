import Basics
import Glibc
import HTTPClient
import Loop
import TestSupport
import Testing
import WebhookSink

/// Where a webhook may go, whatever the address is called.
@Suite(.serialized) struct AddressTests {
  init() { _ = LoopThread.isRunning }

  @Test(arguments: [
    ("127.0.0.1", false), ("10.1.2.3", false), ("172.16.0.1", false), ("172.32.0.1", true), ("192.168.1.1", false),
    ("169.254.169.254", false), ("100.64.0.1", false), ("100.128.0.1", true), ("0.0.0.0", false),
    ("224.0.0.1", false), ("255.255.255.255", false), ("8.8.8.8", true), ("198.18.0.1", false), ("::1", false),
    ("::", false), ("fe80::1", false), ("fc00::1", false), ("ff02::1", false), ("2606:4700::1111", true),
    ("::ffff:10.0.0.1", false), ("::ffff:8.8.8.8", true), ("::10.0.0.1", false), ("64:ff9b::10.0.0.1", false),
    ("64:ff9b::8.8.8.8", true), ("64:ff9b:1::1", false), ("2002:0a00:0001::1", false), ("2001:db8::1", false),
  ])
  func onlyThePublicInternetIsPermitted(text: String, isPermitted: Bool) throws {
    let address = try #require(NetworkAddress(text))
    #expect(AddressPolicy().permits(address) == isPermitted)
  }

  @Test func whatTheOperatorListsIsPermitted() throws {
    let policy = AddressPolicy(allowed: [try #require(Network("10.8.0.0/13")), try #require(Network("fd12::/16"))])
    for (text, isPermitted) in [("10.8.0.1", true), ("10.15.255.255", true), ("10.16.0.0", false), ("fd12::1", true)] {
      #expect(policy.permits(try #require(NetworkAddress(text))) == isPermitted, "\(text)")
    }
    for text in ["10.0.0.0/33", "x", "10.0.0/8", "::/129", "1.2.3.4/-1", ""] {
      #expect(Network(text) == nil, "\(text)")
    }
  }

  /// The address is looked at when it is connected to: these all lead to this machine, and none gets a connection.
  @Test(arguments: [
    "http://127.0.0.1:PORT/", "http://localhost:PORT/", "http://2130706433:PORT/", "http://0x7f000001:PORT/",
    "http://0177.0.0.1:PORT/", "http://127.1:PORT/", "http://[::ffff:127.0.0.1]:PORT/", "http://[::1]:PORT/",
    "http://0:PORT/", "http://127.0.0.1.:PORT/", "http://LOCALHOST:PORT/",
  ])
  @LoopActor func noSpellingReachesThisMachine(url: String) async throws {
    var connections = 0
    let listener = try Listener(at: .tcp(host: "127.0.0.1", port: 0)) { _ in connections += 1 }
    defer { listener.close() }
    var request = ClientRequest("POST", url.replacing("PORT", with: "\(listener.port)"))
    request.policy = AddressPolicy()
    do throws(ClientFailure) {
      _ = try await HTTPClient().send(request)
      Issue.record("it answered")
    } catch {
      #expect(
        error.kind == .forbidden || error.kind == .unresolved || error.kind == .unreachable || error.kind == .badURL)
    }
    #expect(connections == 0)
  }
}
