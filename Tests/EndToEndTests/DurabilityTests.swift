import Basics
import Foundation
import Glibc
import JSON
import Loop
import Stagecraft
import TestSupport
import Testing
import WebSocket

/// How much of it: the short form runs here, scripts/soak.sh sets the stated figures.
enum Amount {
  static func of(_ name: String, _ short: Int) -> Int {
    ProcessInfo.processInfo.environment["SIDETONE_SOAK_\(name)"].flatMap { Int($0) } ?? short
  }
}

/// One who listens and remembers what position bore which event.
@LoopActor
final class FeedListener {
  private(set) var ids: [Int64: String] = [:]
  private(set) var last: Int64
  private(set) var doubled = 0
  private(set) var changed = 0
  private(set) var gaps = 0
  private var session: WebSocketSession?
  private var stream: LoopStream?

  init(after: Int64) { last = after }

  /// Connects and reads until the connection ends or `cut` messages have come.
  func listen(_ port: Int, key: String, cut: Int = .max, onEnd: @escaping @LoopActor () -> Void) {
    guard let stream = try? LoopStream.connect(host: "127.0.0.1", port: port) else { return onEnd() }
    self.stream = stream
    var count = 0
    WebSocketClient.open(
      stream, host: "test", target: "/relay/ws?after=\(last)", headers: [("Authorization", "Bearer \(key)")],
      protocols: ["cloudevents.json"]
    ) { [self] result in
      guard case .success(let session) = result else { return onEnd() }
      self.session = session
      session.receive { [self] message in
        guard case .text(let bytes) = message, count < cut else { return }
        count += 1
        take(bytes)
        if count == cut { self.stream?.close() }
      } onEnd: { _, _ in
        onEnd()
      }
    }
  }

  func hangUp() { stream?.close() }

  private func take(_ bytes: [UInt8]) {
    guard let json = try? JSONValue(parsing: bytes), let text = json["sequence"]?.string, let position = Int64(text),
      let id = json["id"]?.string
    else { return }
    if position <= last { doubled += 1 }
    if let known = ids[position] {
      if known != id { changed += 1 }
    }
    if position > last + 1 { gaps += 1 }
    ids[position] = id
    last = max(last, position)
  }
}

@Suite(.serialized) struct DurabilityTests {
  init() { _ = LoopThread.isRunning }

  @Test @LoopActor func killedAtAnyInstantNothingThatWasToldIsLost() async throws {
    let stage = try Stage(rate: 150, pace: 0.05)
    var agent = try stage.startAgent()
    let key = try stage.makeKey()
    let listener = FeedListener(after: 0)
    let kills = Amount.of("KILLS", 10)
    for _ in 0..<kills {
      let victim = agent
      let moment = Duration.milliseconds(Int.random(in: 150...900))
      _ = try await eventually("the end of the feed") { (done: @escaping @LoopActor (Bool) -> Void) in
        listener.listen(agent.port, key: key) { done(true) }
        LoopActor.loop.after(moment) { victim.kill(SIGKILL) }
      }
      agent = try stage.startAgent()
      #expect(Client.get(agent.port, "/livez").status == 200)
    }
    // Everything that was told is still there, at the same positions, without a hole.
    let told = listener.ids
    let again = FeedListener(after: 0)
    _ = try await eventually("all of it again", within: 60) { (done: @escaping @LoopActor (Bool) -> Void) in
      again.listen(agent.port, key: key) { done(true) }
      @LoopActor func look() {
        if again.last >= listener.last { again.hangUp() } else { LoopActor.loop.after(.milliseconds(50)) { look() } }
      }
      look()
    }
    print("killed \(kills) times, \(told.count) events told, \(again.ids.count) found")
    #expect(told.count > 100)
    #expect(listener.gaps == 0 && listener.doubled == 0)
    #expect(again.gaps == 0)
    for (position, id) in told { #expect(again.ids[position] == id) }
  }

  @Test @LoopActor func clientsThatAreCutAtRandomMissNothingAndSeeNothingTwice() async throws {
    let stage = try Stage(rate: 20, pace: 0.1)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    let count = Amount.of("CLIENTS", 100)
    let listeners = (0..<count).map { _ in FeedListener(after: 0) }
    let until = Moment.now() + .seconds(Amount.of("RESUME_SECONDS", 6))
    var cuts = 0
    @LoopActor func keepGoing(_ listener: FeedListener, _ done: @escaping @LoopActor () -> Void) {
      guard Moment.now() < until else { return done() }
      let timer = LoopActor.loop.after(.milliseconds(Int.random(in: 500...3000))) { listener.hangUp() }
      listener.listen(agent.port, key: key, cut: Int.random(in: 1...60)) {
        LoopActor.loop.cancel(timer)
        cuts += 1
        keepGoing(listener, done)
      }
    }
    _ = try await eventually("all clients", within: 600) { (done: @escaping @LoopActor (Bool) -> Void) in
      var open = count
      for listener in listeners {
        keepGoing(listener) {
          open -= 1
          if open == 0 { done(true) }
        }
      }
    }
    let (gaps, doubled) = (listeners.map(\.gaps).reduce(0, +), listeners.map(\.doubled).reduce(0, +))
    let (total, least) = (listeners.map(\.ids.count).reduce(0, +), listeners.map(\.last).min() ?? 0)
    print(
      "\(count) clients, \(cuts) cuts, \(total) deliveries, \(gaps) lost, \(doubled) doubled, the slowest read \(least)"
    )
    #expect(cuts > count)
    #expect(gaps == 0 && doubled == 0 && total > count)
  }

  @Test func aFullDiskStopsNothingButTheJournalAndMendsItself() throws {
    let stage = try Stage(rate: 60, pace: 0.05)
    let agent = try stage.startAgent()
    let key = try stage.makeKey()
    hear(20, agent, key)
    // No byte can be written behind the present end of any file: what a full disk looks like to the process.
    let size = (try FileManager.default.attributesOfItem(atPath: stage.folder + "/journal.db-wal")[.size] as? Int) ?? 0
    try limit(agent.pid, bytes: max(4096, size / 2))
    #expect(comes(503, agent))
    #expect(Client.get(agent.port, "/relay/events?after=0&limit=10", key: key).status == 200)
    #expect(Client.get(agent.port, "/relay/health").body.contains("journal-not-writable"))
    #expect(
      Client.get(agent.port, "/relay/calls", key: key, method: "POST", body: "{\"from\":\"201\",\"to\":\"202\"}").status
        == 503)
    try limit(agent.pid, bytes: nil)
    #expect(comes(200, agent))
    hear(1000, agent, key)
    let all = positions(agent, key)
    #expect(all == Array(1...Int64(all.count)))
  }

  private func limit(_ pid: Int32, bytes: Int?) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
    process.arguments = ["--pid", "\(pid)", "--fsize=\(bytes.map(String.init) ?? "unlimited"):unlimited"]
    try process.begin()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }

  private func positions(_ agent: RunningProgram, _ key: String) -> [Int64] {
    var found: [Int64] = []
    while true {
      let page = try? JSONValue(
        parsing: Array(Client.get(agent.port, "/relay/events?after=\(found.last ?? 0)&limit=1000", key: key).body.utf8))
      let entries = page?["data"]?.array?.compactMap { $0["sequence"]?.string.flatMap { Int64($0) } } ?? []
      found += entries
      if page?["next"]?.string == nil { return found }
    }
  }

  /// Reads the journal until it has that many events.
  private func hear(_ count: Int, _ agent: RunningProgram, _ key: String) {
    var heard = 0
    let last = Client.event(agent.port, key: key) { _ in
      heard += 1
      return heard == count
    }
    #expect(last != nil)
  }

  /// Asks again and again for at most a minute.
  private func comes(_ status: Int, _ agent: RunningProgram) -> Bool {
    let end = Moment.now() + .seconds(60)
    while Moment.now() < end {
      if Client.get(agent.port, "/readyz").status == status { return true }
    }
    return false
  }
}
