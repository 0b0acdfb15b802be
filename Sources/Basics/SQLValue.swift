// What a database takes and gives, whichever it is.

package enum SQLValue: Equatable, Sendable {
  case null
  case int(Int64)
  case double(Double)
  case text(String)
  case blob([UInt8])
}

extension SQLValue {
  package static func id(_ id: UUID) -> SQLValue { .blob(id.bytes) }
  package static func time(_ time: Timestamp) -> SQLValue { .int(time.microseconds) }
  package static func bool(_ flag: Bool) -> SQLValue { .int(flag ? 1 : 0) }
  package static func optional(_ number: Int64?) -> SQLValue { number.map { .int($0) } ?? .null }
  package static func optional(_ text: String?) -> SQLValue { text.map { .text($0) } ?? .null }
  package static func optional(_ time: Timestamp?) -> SQLValue { time.map { .int($0.microseconds) } ?? .null }

  package var int: Int64? { if case .int(let value) = self { value } else { nil } }
  package var text: String? { if case .text(let value) = self { value } else { nil } }
  package var blob: [UInt8]? { if case .blob(let value) = self { value } else { nil } }
  package var uuid: UUID? { blob.flatMap { UUID(bytes: $0) } }
  package var time: Timestamp? { int.map { Timestamp(microseconds: $0) } }
}
