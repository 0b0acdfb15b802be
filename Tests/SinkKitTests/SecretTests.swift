import Basics
import SinkKit
import Testing

@Suite struct SecretTests {
  private func at(_ hours: Int) -> Timestamp { Timestamp(microseconds: Int64(hours) * 3_600_000_000) }

  private var record: DestinationRecord {
    DestinationRecord(
      id: UUID(high: 1, low: 1), tenant: UUID(high: 1, low: 2), name: "crm", url: "https://example.com", at: at(0))
  }

  @Test func eachSecretSignsUntilItsOwnOverlapIsOver() {
    var record = record
    record.rotateSecret(until: at(24), at: at(0))
    record.rotateSecret(until: at(10), at: at(1))
    #expect(record.signingVersions(at: at(2)) == [3, 2, 1])
    #expect(record.signingVersions(at: at(11)) == [3, 1])
    #expect(record.signingVersions(at: at(24)) == [3])
  }

  @Test func aSecretThatIsKnownToOthersEndsAtOnce() {
    var record = record
    record.rotateSecret(until: at(24), at: at(0))
    record.rotateSecret(until: at(1), at: at(1))
    #expect(record.signingVersions(at: at(1)) == [3, 1])
  }

  @Test func moreThanFiveNeverSign() {
    var record = record
    for hour in 0..<10 { record.rotateSecret(until: at(100), at: at(hour)) }
    #expect(record.signingVersions(at: at(10)) == [11, 10, 9, 8, 7])
  }
}
