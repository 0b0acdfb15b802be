import Basics
import CallModel
import Journal
import TestSupport
import Testing

/// Retention and those who have not had everything yet.
@Suite struct ClaimTests {
  private func filled(_ count: Int) throws -> JournalFile {
    let file = try JournalFile(path: TemporaryDirectory.make() + "/journal.db")
    let entries = (1...count).map { index in
      let event = CallEvent(
        id: EventID(UUID(high: 1, low: UInt64(index))), source: "test", occurredAt: Timestamp(microseconds: 0),
        kind: index % 2 == 0 ? .linkUp : .linkDown(reason: String(repeating: "x", count: 2000)), call: nil)
      return JournalEntry(event, at: .start)
    }
    _ = try file.append(entries)
    return file
  }

  private let tomorrow = Timestamp.now().adding(seconds: 86_400)

  @Test func ageSparesWhatSomebodyHasNotHad() throws {
    let file = try filled(100)
    let claim = RetentionClaim(name: "crm", tenant: .standard, from: Position(40)) { _ in true }
    while try file.prune(before: tomorrow, bytes: .max, claims: [claim]) > 0 {}
    #expect(file.oldest == Position(40))
    #expect(try file.losses().isEmpty)
    while try file.prune(before: tomorrow, bytes: .max) > 0 {}
    #expect(file.oldest == Position(100), "the newest always stays")
  }

  @Test func sizeDoesNotAndTheLedgerSaysWhoLostWhat() throws {
    let file = try filled(100)
    let claims = [
      RetentionClaim(name: "crm", tenant: .standard, from: Position(40)) { $0 == "link.up" },
      RetentionClaim(name: "done", tenant: .standard, from: Position(101)) { _ in true },
      RetentionClaim(name: "another's", tenant: .agent, from: Position(1)) { _ in true },
    ]
    while try file.prune(before: Timestamp(microseconds: 0), bytes: 1, claims: claims, slice: 30) > 0 {}
    let losses = try file.losses()
    #expect(Set(losses.map(\.detail)) == ["not yet delivered to crm"])
    #expect(losses.allSatisfy { $0.reason == "retention" })
    let lost = losses.flatMap(\.events).map(\.low).sorted()
    #expect(lost == stride(from: 40, to: 100, by: 2).map { UInt64($0) })
  }
}
