// Structured logging: a constant sentence and keys from one list, to journald when the process runs under it and to
// stderr otherwise. Redaction is the default: numbers are masked, secrets have no way in.

package import Basics
internal import CShims
internal import CSystemd
internal import Glibc
internal import JSON
internal import Synchronization

/// error: data lost or a person is needed; warning: degraded, will mend; notice: life of the agent; info: links up and
/// down; debug: decisions; trace: bytes, redacted. The raw value is syslog's priority, trace below all.
package enum LogLevel: Int, Sendable, CaseIterable {
  case error = 3
  case warning = 4
  case notice = 5
  case info = 6
  case debug = 7
  case trace = 8

  package init?(name: String) {
    guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = level
  }

  package var name: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .notice: "notice"
    case .info: "info"
    case .debug: "debug"
    case .trace: "trace"
    }
  }
}

/// The keys a log line may carry; journald shows them in capitals with underscores.
package enum LogKey: String, Sendable {
  case callID = "call.id"
  case connectionEnd = "connection.end"
  case condition = "condition"
  case count = "count"
  case errorText = "error"
  case httpMethod = "http.method"
  case httpPath = "http.path"
  case httpStatus = "http.status"
  case keyHint = "key.hint"
  case milliseconds = "duration.ms"
  case peer = "peer"
  case position = "position"
  case requestID = "request.id"
  case setting = "setting"
  case sinkName = "sink.name"
  case sourceName = "source.name"
  case version = "version"
}

/// A line that was logged, for those who look at the agent and not at its log.
package struct LogRecord: Sendable {
  package let at: Timestamp
  package let level: LogLevel
  package let text: String
  package let fields: [(name: String, value: String)]
}

package enum LogFormat: String, Sendable { case text, json }

package enum Log {
  private struct Settings {
    var level = LogLevel.info
    var format = LogFormat.text
  }

  /// Warnings and errors kept in memory, the oldest dropped first.
  package static let recentLimit = 500

  private static let settings = Mutex(Settings())
  private static let kept = Mutex<[LogRecord]>([])
  private static let underJournald: Bool = {
    guard let stream = Environment["JOURNAL_STREAM"] else { return false }
    var status = stat()
    return fstat(2, &status) == 0 && stream == "\(status.st_dev):\(status.st_ino)"
  }()

  package static func configure(level: LogLevel, format: LogFormat) {
    settings.withLock { $0 = Settings(level: level, format: format) }
  }

  package static func set(level: LogLevel) { settings.withLock { $0.level = level } }

  package static func error(_ text: StaticString, _ fields: [LogKey: String] = [:]) { write(.error, text, fields) }
  package static func warning(_ text: StaticString, _ fields: [LogKey: String] = [:]) { write(.warning, text, fields) }
  package static func notice(_ text: StaticString, _ fields: [LogKey: String] = [:]) { write(.notice, text, fields) }
  package static func info(_ text: StaticString, _ fields: [LogKey: String] = [:]) { write(.info, text, fields) }

  /// The fields are not computed unless somebody listens at this level.
  package static func debug(_ text: StaticString, _ fields: @autoclosure () -> [LogKey: String] = [:]) {
    if settings.withLock({ $0.level.rawValue }) >= LogLevel.debug.rawValue { write(.debug, text, fields()) }
  }

  /// The latest warnings and errors, oldest first.
  package static var recent: [LogRecord] { kept.withLock { $0 } }

  private static func keep(_ level: LogLevel, _ text: StaticString, _ fields: [LogKey: String]) {
    let pairs = fields.sorted { $0.key.rawValue < $1.key.rawValue }.map { (name: $0.key.rawValue, value: $0.value) }
    let record = LogRecord(at: Timestamp.now(), level: level, text: "\(text)", fields: pairs)
    kept.withLock { kept in
      if kept.count >= recentLimit { kept.removeFirst() }
      kept.append(record)
    }
  }

  private static func write(_ level: LogLevel, _ text: StaticString, _ fields: [LogKey: String]) {
    if level.rawValue <= LogLevel.warning.rawValue { keep(level, text, fields) }
    let settings = settings.withLock { $0 }
    guard level.rawValue <= settings.level.rawValue else { return }
    if underJournald { return toJournal(level, text, fields) }
    switch settings.format {
    case .text: Files.print(line(level, text, fields), to: 2)
    case .json: Files.print(json(level, text, fields) + [10], to: 2)
    }
  }

  private static func line(_ level: LogLevel, _ text: StaticString, _ fields: [LogKey: String]) -> String {
    let pairs = fields.sorted { $0.key.rawValue < $1.key.rawValue }.map { " \($0.key.rawValue)=\(oneLine($0.value))" }
    return "\(Timestamp.now()) \(level.name): \(text)\(pairs.joined())"
  }

  /// What a peer sent cannot forge a line of its own.
  private static func oneLine(_ text: String) -> String {
    String(text.map { ($0.unicodeScalars.first?.value ?? 32) < 32 ? " " : $0 })
  }

  private static func json(_ level: LogLevel, _ text: StaticString, _ fields: [LogKey: String]) -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.field("time", Timestamp.now())
      json.field("level", level.name)
      json.field("message", "\(text)")
      for (key, value) in fields.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        json.key(key.rawValue)
        json.value(value)
      }
    }
    return json.bytes
  }

  private static func toJournal(_ level: LogLevel, _ text: StaticString, _ fields: [LogKey: String]) {
    var entries = ["MESSAGE=\(text)", "PRIORITY=\(min(level.rawValue, 7))", "SYSLOG_IDENTIFIER=sidetone"]
    entries += fields.map { key, value in
      "SIDETONE_" + key.rawValue.uppercased().replacing(".", with: "_") + "=" + value
    }
    let copies = entries.map { strdup($0)! }
    defer { for copy in copies { free(copy) } }
    let parts = copies.map { iovec(iov_base: $0, iov_len: strlen($0)) }
    sd_journal_sendv(parts, Int32(parts.count))
  }
}

/// Telephone numbers as they may stand in a log: the last two digits of a long number, short internal numbers whole.
package func masked(_ number: String) -> String {
  number.count <= 6 ? number : String(repeating: "•", count: number.count - 2) + number.suffix(2)
}
