import Basics
import CallModel
import Foundation
import Journal
import Loop
import SQLite
import TestSupport
import Testing

@Suite(.serialized) struct JournalTests {
  init() { _ = LoopThread.isRunning }

  private let folder = TemporaryDirectory.make()

  private func call(_ number: UInt64, _ state: CallState = .ringing) -> Call {
    var call = Call(
      id: CallID(UUID(high: number << 16 | 0x8000, low: 1 << 63 | number)), direction: .internal,
      startedAt: Timestamp(microseconds: Int64(number) * 1000))
    call.state = state
    call.from = Number(raw: "100\(number % 10)")
    if state == .ended {
      (call.endedAt, call.disposition) = (Timestamp(microseconds: Int64(number) * 1000 + 5000), .answered)
    }
    return call
  }

  private func event(_ number: UInt64, _ kind: CallEvent.Kind = .ring, call: Call? = nil) -> CallEvent {
    let call = call ?? self.call(number)
    return CallEvent(
      id: EventID(UUID(high: call.id.uuid.high, low: number)), source: "test", occurredAt: Timestamp(microseconds: 1),
      kind: kind, call: call)
  }

  private func entries(_ events: [CallEvent]) -> [JournalEntry] { events.map { JournalEntry($0, at: .start) } }

  @Test func positionsGrowByOneAndAKnownEventTakesNone() throws {
    let file = try JournalFile(path: folder + "/a.db")
    #expect(try file.append(entries([event(1), event(2), event(1), event(3)])).map(\.position.value) == [1, 2, 3])
    #expect(try file.append(entries([event(2), event(4)])).map(\.position.value) == [4])
    #expect(try file.entries(after: Position(1), limit: 10).map(\.position.value) == [2, 3, 4])
  }

  @Test func aJournalThatCameBackGivesNoPositionTwice() throws {
    do {
      let file = try JournalFile(path: folder + "/back.db")
      _ = try file.append(entries([event(1), event(2)]))
      try file.skipAhead()
    }
    let file = try JournalFile(path: folder + "/back.db")
    #expect(file.head == Position(2))
    #expect(try file.append(entries([event(3), event(4)])).map(\.position.value) == [1_000_000_003, 1_000_000_004])
    #expect(try file.entries(after: Position(1), limit: 10).map(\.position.value) == [2, 1_000_000_003, 1_000_000_004])
  }

  @Test func onlyItsOwnerReadsAJournal() throws {
    umask(0)
    defer { umask(0o022) }
    let path = folder + "/private.db"
    let file = try JournalFile(path: path)
    _ = try file.append(entries([event(1)]))
    for name in [path, path + "-wal"] {
      let mode = try FileManager.default.attributesOfItem(atPath: name)[.posixPermissions] as? Int
      #expect(mode == 0o600, "\(name)")
    }
  }

  @Test func whatWasAppendedReadsBackByteForByte() throws {
    let file = try JournalFile(path: folder + "/b.db")
    let kept = try file.append(
      entries([event(7, .parked(slot: "701", by: Party(.extension, "1002"))), event(8, .linkUp)]))
    #expect(try file.entries(after: .start, limit: 10) == kept)
    #expect(try file.entries(of: call(7).id) == [kept[0]])
  }

  @Test func theOpenCallsSurviveTheProcess() throws {
    do {
      let file = try JournalFile(path: folder + "/c.db")
      _ = try file.append(
        entries([
          event(1), event(2), event(3, .started, call: call(1, .active)), event(4, .ended, call: call(2, .ended)),
        ]))
    }
    let open = try JournalFile(path: folder + "/c.db").openCallsNow()
    #expect(open.map(\.last.parsedCall) == [call(1, .active)])
    #expect(open.map(\.told) == [2])
  }

  @Test func theHistoryIsFilteredAndPaged() throws {
    let file = try JournalFile(path: folder + "/d.db")
    _ = try file.append(entries((1...25).map { event($0, .ended, call: call($0, .ended)) }))
    var query = HistoryQuery()
    query.limit = 10
    #expect(try file.history(query).count == 10)
    query.before = (Timestamp(microseconds: 16_000), call(16).id)
    #expect(try file.history(query).count == 10)
    query.before = (Timestamp(microseconds: 6000), call(6).id)
    #expect(try file.history(query).count == 5)
    query.before = nil
    query.number = "1003"
    #expect(try file.history(query).count == 3)
    query.tenant = TenantID(UUID(high: 1, low: 1))
    #expect(try file.history(query).isEmpty)
  }

  @Test func aJournalOfTheFirstVersionKeepsItsCalls() throws {
    let path = folder + "/old.db"
    do {
      let old = try Database(path: path)
      try old.migrate(Migrations.steps, upTo: 1)
      let ended = JournalEntry(event(3, .ended, call: call(3, .ended)), at: Position(1))
      try old.rows(
        "INSERT INTO entries VALUES (1, ?, 1, 1, ?, 'call.ended', 'test', ?, ?, ?)", .blob(ended.id.uuid.bytes),
        .blob(ended.tenant.uuid.bytes), .blob(call(3).id.uuid.bytes), .blob(ended.call!), .blob(ended.detail))
      try old.rows(
        "INSERT INTO calls VALUES (?, 3000, ?, 8000, 'internal', 'answered', NULL, ' 1003 ', ?)",
        .blob(ended.tenant.uuid.bytes), .blob(call(3).id.uuid.bytes), .blob(ended.call!))
    }
    let file = try JournalFile(path: path)
    var query = HistoryQuery()
    query.number = "1003"
    #expect(try file.history(query) == [call(3, .ended).json])
    #expect(try file.entries(of: call(3).id).map(\.type) == ["call.ended"])
  }

  @Test func aSummaryGoesWithTheEntryItPointsTo() throws {
    let file = try JournalFile(path: folder + "/gone.db")
    _ = try file.append(entries((1...600).map { event($0, .ended, call: call($0, .ended)) }))
    #expect(try file.prune(before: .now().adding(seconds: 10), bytes: .max) == 500)
    var query = HistoryQuery()
    query.limit = 1000
    #expect(try file.history(query).count == 100)
  }

  @Test func retentionKeepsTheNewestEntryAndNeverReusesAPosition() throws {
    let file = try JournalFile(path: folder + "/e.db")
    _ = try file.append(entries((1...1200).map { event($0) }))
    while try file.prune(before: .now().adding(seconds: 10), bytes: .max) > 0 {}
    #expect(try file.entries(after: .start, limit: 10).map(\.position.value) == [1200])
    #expect(file.oldest.value == 1200)
    #expect(try file.append(entries([event(5000)])).map(\.position.value) == [1201])
  }

  @Test func aTransactionThatWasCutOffLeavesNothing() throws {
    let path = folder + "/f.db"
    let file = try JournalFile(path: path)
    _ = try file.append(entries([event(1)]))
    _ = try file.append(entries([event(2)]))
    // A torn write: the last bytes of the write-ahead log never reached the disk.
    let log = try #require(FileManager.default.contents(atPath: path + "-wal"))
    let torn = folder + "/torn.db"
    try FileManager.default.copyItem(atPath: path, toPath: torn)
    try log.dropLast(2000).write(to: URL(fileURLWithPath: torn + "-wal"))
    let positions = try JournalFile(path: torn).entries(after: .start, limit: 10).map(\.position.value)
    #expect([[], [1], [1, 2]].contains(positions))
  }

  @Test func aDamagedFileIsSaidToBeDamaged() throws {
    let path = folder + "/g.db"
    do { _ = try JournalFile(path: path).append(entries((1...200).map { event($0) })) }
    let handle = try #require(FileHandle(forUpdatingAtPath: path))
    try handle.seek(toOffset: 0)
    handle.write(Data("this is no database at all".utf8))
    try handle.close()
    #expect(throws: SQLiteError.self) { try JournalFile(path: path) }
  }

  @Test @LoopActor func whatDidNotFitWhileTheDiskWasSlowIsSaidOnceItIsThrough() async throws {
    let journal = try await Journal.open(path: folder + "/slow.db")
    var large = call(1)
    large.from = Number(raw: String(repeating: "5", count: 1 << 20))
    let said: String? = try await eventually("the journal to write again") { done in
      journal.onWritable = { isWritable, reason in if isWritable { done(reason) } }
      // All within one turn: nothing of it can be on disk yet.
      var number: UInt64 = 1
      while journal.offer([event(number, call: large)]) { number += 1 }
    }
    #expect(said == "lost 1")
    let losses = try await journal.losses()
    #expect(losses.map(\.count) == [1])
  }

  @Test @LoopActor func whatArrivesDuringACommitGoesIntoTheNext() async throws {
    let journal = try await Journal.open(path: folder + "/h.db")
    let events = (1...500).map { event($0) }
    let positions: [Int64] = try await eventually("500 entries") { done in
      var seen: [Int64] = []
      journal.onCommit = { entries in
        seen += entries.map(\.position.value)
        if seen.count == 500 { done(seen) }
      }
      for event in events { #expect(journal.offer([event])) }
    }
    #expect(positions == Array(1...500))
    #expect(journal.bufferedBytes == 0)
    #expect(try await journal.append([event(1), event(501)]).map(\.position.value) == [501])
  }
}
