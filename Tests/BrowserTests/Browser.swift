// Debian's chromium without a window, driven over its DevTools protocol with our own WebSocket client.

import Basics
import Foundation
import Glibc
import JSON
import Loop
import TestSupport
import WebSocket

@LoopActor
final class Browser {
  struct Trouble: Error, CustomStringConvertible {
    let description: String
  }

  private let process = Process()
  private var session: WebSocketSession?
  private var waiting: [Int64: @LoopActor (Result<JSONValue, Trouble>) -> Void] = [:]
  private var lastID: Int64 = 0
  /// What the pages complained of: exceptions, refused loads, violations of the policy.
  private(set) var complaints: [String] = []

  static func open() async throws -> Browser {
    let browser = Browser()
    let address = try browser.launch()
    let parts = address.dropFirst("ws://".count).split(separator: "/", maxSplits: 1)
    let port = Int(parts[0].split(separator: ":").last ?? "") ?? 0
    let stream = try LoopStream.connect(host: "127.0.0.1", port: port)
    browser.session = try await eventually("the browser's line") { done in
      WebSocketClient.open(stream, host: String(parts[0]), target: "/" + parts[1], messageLimit: 64 << 20) { done($0) }
    }.get()
    browser.session?.receive(
      { message in
        if case .text(let bytes) = message { browser.received(bytes) }
      }, onEnd: { _, _ in })
    return browser
  }

  /// Starts it and reads where it listens.
  private func launch() throws -> String {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-extensions",
      "--remote-debugging-port=0", "--user-data-dir=" + TemporaryDirectory.make(), "about:blank",
    ]
    let errors = Pipe.make()
    process.standardError = errors
    process.standardOutput = FileHandle(forWritingAtPath: "/dev/null")
    try process.begin()
    var said = ""
    while case let more = errors.fileHandleForReading.availableData, !more.isEmpty {
      said += String(decoding: more, as: UTF8.self)
      let line = said.split(separator: "\n").first { $0.contains("DevTools listening on ") && said.contains("\n") }
      if let address = line?.split(separator: " ").last, address.count > 40 { return String(address) }
    }
    throw Trouble(description: "chromium did not start; is the Debian package installed? \(said.suffix(400))")
  }

  func close() {
    kill(process.processIdentifier, SIGKILL)
  }

  // MARK: The protocol

  private func received(_ bytes: [UInt8]) {
    guard let json = try? JSONValue(parsing: bytes) else { return }
    if let id = json["id"]?.int, let waiter = waiting.removeValue(forKey: id) {
      let fault = json["error"]?["message"]?.string
      waiter(fault.map { .failure(Trouble(description: $0)) } ?? .success(json["result"] ?? .null))
    }
    switch json["method"]?.string {
    case "Runtime.exceptionThrown":
      complaints.append(json["params"]?["exceptionDetails"]?["exception"]?["description"]?.string ?? "an exception")
    case "Log.entryAdded":
      let entry = json["params"]?["entry"]
      if entry?["level"]?.string == "error", entry?["source"]?.string == "security" {
        complaints.append(entry?["text"]?.string ?? "an error")
      }
    default: break
    }
  }

  func ask(_ method: String, session name: String? = nil, _ write: (inout JSONWriter) -> Void = { _ in }) async throws
    -> JSONValue
  {
    lastID += 1
    let id = lastID
    var json = JSONWriter()
    json.object { json in
      json.field("id", id)
      json.field("method", method)
      if let name { json.field("sessionId", name) }
      json.key("params")
      json.object { write(&$0) }
    }
    return try await eventually(method, within: 30) { done in
      waiting[id] = done
      session?.send(.text, json.bytes)
    }.get()
  }

  func newPage(width: Int = 1200, height: Int = 900) async throws -> Page {
    let context = try await ask("Target.createBrowserContext")["browserContextId"]?.string ?? ""
    let target = try await ask("Target.createTarget") {
      $0.field("url", "about:blank")
      $0.field("browserContextId", context)
    }
    let attached = try await ask("Target.attachToTarget") {
      $0.field("targetId", target["targetId"]?.string)
      $0.field("flatten", true)
    }
    let page = Page(browser: self, name: attached["sessionId"]?.string ?? "")
    for domain in ["Page", "Runtime", "Log"] { _ = try await page.ask(domain + ".enable") }
    try await page.size(width, height)
    return page
  }
}

/// One tab, with cookies of its own.
@LoopActor
struct Page {
  let browser: Browser
  let name: String

  func ask(_ method: String, _ write: (inout JSONWriter) -> Void = { _ in }) async throws -> JSONValue {
    try await browser.ask(method, session: name, write)
  }

  func go(_ address: String) async throws {
    _ = try await ask("Page.navigate") { $0.field("url", address) }
  }

  func size(_ width: Int, _ height: Int) async throws {
    _ = try await ask("Emulation.setDeviceMetricsOverride") {
      $0.field("width", width)
      $0.field("height", height)
      $0.field("deviceScaleFactor", 1)
      $0.field("mobile", width < 600)
    }
  }

  func beDark(_ isDark: Bool) async throws {
    _ = try await ask("Emulation.setEmulatedMedia") { json in
      json.key("features")
      json.array { json in
        json.object { json in
          json.field("name", "prefers-color-scheme")
          json.field("value", isDark ? "dark" : "light")
        }
      }
    }
  }

  /// The value of an expression, awaited where it is a promise.
  @discardableResult
  func value(_ script: String) async throws -> JSONValue {
    let answer = try await ask("Runtime.evaluate") {
      $0.field("expression", script)
      $0.field("awaitPromise", true)
      $0.field("returnByValue", true)
    }
    if let details = answer["exceptionDetails"] {
      throw Browser.Trouble(
        description: details["exception"]?["description"]?.string ?? details["text"]?.string ?? "an exception")
    }
    return answer["result"]?["value"] ?? .null
  }

  /// Returns when the condition holds in the page.
  func until(_ condition: String) async throws {
    let script = """
      new Promise((done) => { const end = Date.now() + 90000; const look = () => {
        let holds = false; try { holds = \(condition); } catch {}
        if (holds) done(true); else if (Date.now() > end) done(document.body.innerText); else setTimeout(look, 30); }; look(); })
      """
    let found = try await value(script)
    guard found == .bool(true) else {
      throw Browser.Trouble(description: "never came: \(condition)\n\(found.string ?? "")")
    }
  }

  func shows(_ text: String) async throws {
    try await until("document.body.innerText.includes(\(Self.quoted(text)))")
  }

  /// Types as a person would: focus, value, the event.
  func fill(_ field: String, _ text: String) async throws {
    try await until("document.querySelector('[name=\"\(field)\"]')")
    try await value(
      "{ const f = [...document.querySelectorAll('[name=\"\(field)\"]')].at(-1); f.focus(); f.value = \(Self.quoted(text)); f.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
  }

  /// Clicks the last button of that name: the one of the dialog in front, where there is one.
  func click(_ name: String) async throws {
    let find =
      "[...document.querySelectorAll('button')].filter((b) => b.textContent.trim() === \(Self.quoted(name)) && !b.disabled).at(-1)"
    try await until(find)
    try await value("\(find).click()")
  }

  func photograph(_ path: String) async throws {
    let shot = try await ask("Page.captureScreenshot") { $0.field("format", "png") }
    guard let bytes = shot["data"]?.string.flatMap({ Base64.decode($0) }) else { return }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  private static func quoted(_ text: String) -> String {
    var json = JSONWriter()
    json.value(text)
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
