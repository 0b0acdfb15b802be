// Wall-clock instants as one integer, and their RFC 3339 text. Spans and timers use `Duration` on the monotonic clock.

internal import Glibc

/// An instant in UTC, in microseconds since the Unix epoch (leap seconds not counted).
package struct Timestamp: Hashable, Comparable, Sendable {
  package var microseconds: Int64

  package init(microseconds: Int64) { self.microseconds = microseconds }

  /// From seconds since the epoch, as recordings give them; rounded to the nearest microsecond.
  package init(seconds: Double) { microseconds = Int64((seconds * 1e6).rounded()) }

  package var milliseconds: Int64 { microseconds / 1000 }

  package static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }

  /// The span from `earlier`, in seconds; negative when `earlier` is later.
  package func seconds(since earlier: Self) -> Double { Double(microseconds - earlier.microseconds) / 1e6 }

  package func adding(seconds: Double) -> Self { Self(microseconds: microseconds + Int64((seconds * 1e6).rounded())) }

  /// The host's wall clock.
  package static func now() -> Self {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Self(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }
}

extension Timestamp: CustomStringConvertible {
  /// RFC 3339 in UTC with milliseconds, cut not rounded: `2026-11-20T12:00:05.123Z`.
  package var description: String {
    String(unsafeUninitializedCapacity: 24) { text in
      write(into: text)
      return 24
    }
  }

  /// The 24 characters of `description` at the beginning of `text`.
  package func write(into text: UnsafeMutableBufferPointer<UInt8>) {
    let (days, rest) = milliseconds.flooredDivision(by: 86_400_000)
    let (year, month, day) = Self.civil(days: days)
    func put(_ value: Int64, _ width: Int, at start: Int) {
      var value = value
      for index in stride(from: start + width - 1, through: start, by: -1) {
        text[index] = UInt8(48 + value % 10)
        value /= 10
      }
    }
    for (index, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (23, "Z")] {
      text[index] = mark.utf8.first!
    }
    put(year, 4, at: 0)
    put(month, 2, at: 5)
    put(day, 2, at: 8)
    put(rest / 3_600_000, 2, at: 11)
    put(rest / 60_000 % 60, 2, at: 14)
    put(rest / 1000 % 60, 2, at: 17)
    put(rest % 1000, 3, at: 20)
  }

  /// Year, month, day of a day number counted from 1970-01-01 in the proleptic Gregorian calendar.
  static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let (era, dayOfEra) = (days + 719_468).flooredDivision(by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
  }

  static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let (era, yearOfEra) = (month <= 2 ? year - 1 : year).flooredDivision(by: 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

extension Timestamp {
  /// Reads RFC 3339 (`2026-11-20T12:00:05.123+01:00`). Nil for anything else, a date alone included.
  package init?(rfc3339 text: String) {
    var scan = Scanner(text)
    guard let date = scan.date(), scan.take("T") || scan.take("t") || scan.take(" "), let hour = scan.digits(2),
      scan.take(":"), let minute = scan.digits(2), scan.take(":"), let second = scan.digits(2),
      hour < 24, minute < 60, second < 61
    else { return nil }
    let fraction = scan.take(".") ? scan.fraction() : 0
    guard let fraction, let offset = scan.zone(), scan.isAtEnd else { return nil }
    let seconds = date * 86_400 + hour * 3600 + minute * 60 + second - offset
    self.init(microseconds: seconds * 1_000_000 + fraction)
  }

  /// Midnight of `2026-11-20` in the host's time zone (`TZ`), moved by `days`. Nil when it is no such date.
  package init?(localDate text: String, addingDays days: Int = 0) {
    var scan = Scanner(text)
    guard let number = scan.date(), scan.isAtEnd else { return nil }
    let (year, month, day) = Self.civil(days: number + Int64(days))
    var parts = tm()
    parts.tm_year = Int32(year - 1900)
    parts.tm_mon = Int32(month - 1)
    parts.tm_mday = Int32(day)
    parts.tm_isdst = -1
    self.init(microseconds: Int64(mktime(&parts)) * 1_000_000)
  }

  private struct Scanner {
    var rest: Substring.UTF8View
    init(_ text: String) { rest = Substring(text).utf8 }
    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ mark: Character) -> Bool {
      guard rest.first == mark.utf8.first else { return false }
      rest.removeFirst()
      return true
    }

    mutating func digits(_ width: Int) -> Int64? {
      guard rest.count >= width, rest.prefix(width).allSatisfy({ (48...57).contains($0) }) else { return nil }
      defer { rest.removeFirst(width) }
      return rest.prefix(width).reduce(0) { $0 * 10 + Int64($1 - 48) }
    }

    mutating func date() -> Int64? {
      guard let year = digits(4), take("-"), let month = digits(2), take("-"), let day = digits(2),
        (1...12).contains(month), (1...31).contains(day)
      else { return nil }
      let number = Timestamp.days(year: year, month: month, day: day)
      return Timestamp.civil(days: number).month == month ? number : nil
    }

    mutating func fraction() -> Int64? {
      let digits = rest.prefix { (48...57).contains($0) }
      rest.removeFirst(digits.count)
      guard (1...9).contains(digits.count) else { return nil }
      return (Array(digits) + Array(repeating: 48, count: 6)).prefix(6).reduce(0) { $0 * 10 + Int64($1 - 48) }
    }

    mutating func zone() -> Int64? {
      if take("Z") || take("z") { return 0 }
      let sign: Int64 = take("+") ? 1 : take("-") ? -1 : 0
      guard sign != 0, let hours = digits(2), take(":"), let minutes = digits(2), hours < 24, minutes < 60 else {
        return nil
      }
      return sign * (hours * 3600 + minutes * 60)
    }
  }
}

extension Int64 {
  fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let quotient = (self >= 0 ? self : self - divisor + 1) / divisor
    return (quotient, self - quotient * divisor)
  }
}
