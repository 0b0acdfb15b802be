// One connection to a PostgreSQL, through libpq, used from one thread at a time. Every call ends at its deadline.

package import Basics
internal import CShims

/// What the caller can do next, for each way a server fails.
package enum PostgresError: Error, Equatable, CustomStringConvertible {
  /// The connection is gone or was never made: connect again, later.
  case unavailable(String)
  /// No answer in time; what was asked may still be done. The connection is closed.
  case tooSlow(String)
  /// Another transaction was in the way: the same transaction may succeed now.
  case conflict(String)
  case constraint(String)
  case other(state: String, String)

  package var description: String {
    switch self {
    case .unavailable(let text): "PostgreSQL cannot be reached: \(text)"
    case .tooSlow(let text): "PostgreSQL did not answer in time: \(text)"
    case .conflict(let text): "another transaction was in the way: \(text)"
    case .constraint(let text): "a rule of the database was broken: \(text)"
    case .other(let state, let text): "PostgreSQL error \(state): \(text)"
    }
  }
}

package final class PostgresConnection: @unchecked Sendable {
  private let handle: UnsafeMutableRawPointer
  private let timeout: Duration

  /// - Parameter target: a libpq connection string, with its password.
  package init(_ target: Secret<String>, connectWithin: Duration, answerWithin: Duration) throws(PostgresError) {
    var why = [CChar](repeating: 0, count: 512)
    guard shim_pq_load(&why, why.count) == 0 else {
      throw .unavailable("\(Self.text(why)); install libpq5")
    }
    let connection = shim_pq_connect(target.reveal(), Self.milliseconds(connectWithin), &why, why.count)
    guard let connection else { throw .unavailable(Self.text(why)) }
    (handle, timeout) = (connection, answerWithin)
  }

  deinit { shim_pq_close(handle) }

  /// Runs one statement with `$1 …` bound to the values, in binary.
  package func rows(_ sql: String, _ values: [SQLValue]) throws(PostgresError) -> (rows: [[SQLValue]], changes: Int) {
    let parameters = Parameters(values)
    let answer = parameters.withPointers { types, pointers, lengths in
      shim_pq_query(handle, sql, Int32(values.count), types, pointers, lengths, Self.milliseconds(timeout))
    }
    let result = try Self.result(answer)
    defer { shim_pq_clear(result) }
    return (Self.rows(result), Int(shim_pq_changes(result)))
  }

  /// Several statements without values: migrations.
  package func script(unsafe sql: String) throws(PostgresError) {
    shim_pq_clear(try Self.result(shim_pq_script(handle, sql, Self.milliseconds(timeout))))
  }

  // MARK: Answers

  private static func result(_ answer: shim_pq_answer) throws(PostgresError) -> UnsafeMutableRawPointer {
    guard let result = answer.result else {
      let why = withUnsafeBytes(of: answer.why) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self).trimmed }
      throw answer.timed_out != 0 ? .tooSlow(why) : .unavailable(why)
    }
    if shim_pq_is_fine(result) == 1 { return result }
    defer { shim_pq_clear(result) }
    throw error(String(cString: shim_pq_state(result)), String(cString: shim_pq_error(result)).trimmed)
  }

  /// By class of SQLSTATE (PostgreSQL documentation, appendix A).
  static func error(_ state: String, _ text: String) -> PostgresError {
    switch state {
    case "57014": .tooSlow(text)
    // Read only: a server that another has taken over from.
    case "25006": .unavailable(text)
    case "40001", "40P01", "55P03": .conflict(text)
    default:
      switch state.prefix(2) {
      case "08", "57", "53", "": .unavailable(text)
      case "23": .constraint(text)
      default: .other(state: state, text)
      }
    }
  }

  private static func rows(_ result: UnsafeMutableRawPointer) -> [[SQLValue]] {
    let columns = shim_pq_columns(result)
    return (0..<shim_pq_rows(result)).map { row in
      (0..<columns).map { column in value(result, row, column) }
    }
  }

  private static func value(_ result: UnsafeMutableRawPointer, _ row: Int32, _ column: Int32) -> SQLValue {
    if shim_pq_is_null(result, row, column) == 1 { return .null }
    let start = UnsafeRawPointer(shim_pq_value(result, row, column))
    let bytes = UnsafeRawBufferPointer(start: start, count: Int(shim_pq_length(result, row, column)))
    switch PostgresType(rawValue: shim_pq_type(result, column)) {
    case .int8, .int4, .int2, .bool: return .int(Int64(truncatingIfNeeded: integer(bytes)))
    case .float8: return .double(Double(bitPattern: UInt64(bitPattern: integer(bytes))))
    case .bytea: return .blob(Array(bytes))
    case .text, nil: return .text(String(decoding: bytes, as: UTF8.self))
    }
  }

  /// Big-endian, as many bytes as there are, with its sign.
  private static func integer(_ bytes: UnsafeRawBufferPointer) -> Int64 {
    let negative = bytes.count > 1 && bytes.first ?? 0 > 127
    return bytes.reduce(negative ? -1 : 0) { $0 << 8 | Int64($1) }
  }

  private static func milliseconds(_ span: Duration) -> Int32 { Int32(clamping: span.nanoseconds / 1_000_000) }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).trimmed
  }
}

/// Object identifiers of the built-in types (pg_type.dat).
enum PostgresType: UInt32 {
  case bool = 16
  case bytea = 17
  case int8 = 20
  case int2 = 21
  case int4 = 23
  case text = 25
  case float8 = 701
}

/// Values in binary form, kept alive while a call looks at them.
private struct Parameters {
  private var types: [UInt32] = []
  private var bytes: [[UInt8]?] = []

  init(_ values: [SQLValue]) {
    for value in values {
      switch value {
      case .null: add(0, nil)
      case .int(let number): add(PostgresType.int8.rawValue, Self.bigEndian(UInt64(bitPattern: number)))
      case .double(let number): add(PostgresType.float8.rawValue, Self.bigEndian(number.bitPattern))
      case .text(let text): add(PostgresType.text.rawValue, Array(text.utf8))
      case .blob(let blob): add(PostgresType.bytea.rawValue, blob)
      }
    }
  }

  private mutating func add(_ type: UInt32, _ value: [UInt8]?) {
    types.append(type)
    bytes.append(value)
  }

  private static func bigEndian(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

  func withPointers<T>(
    _ body: (UnsafePointer<UInt32>?, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?) -> T
  ) -> T {
    // One buffer for all values: a pointer into it is valid for as long as the closure runs.
    let flat = bytes.reduce(into: [UInt8]()) { flat, value in flat += (value ?? []) + [0] }
    let lengths = bytes.map { Int32($0?.count ?? 0) }
    return flat.withUnsafeBytes { flat in
      var offset = 0
      let pointers = bytes.map { value -> UnsafePointer<CChar>? in
        defer { offset += (value?.count ?? 0) + 1 }
        return value == nil ? nil : flat.baseAddress?.advanced(by: offset).assumingMemoryBound(to: CChar.self)
      }
      return body(types, pointers, lengths)
    }
  }
}
