// Guessing is slow. Failures are counted for an account at an address, which locks first and leaves the same account at
// another address alone: nobody is locked out by a stranger who knows their name. What spreads over many addresses or many
// accounts locks the account or the address as a whole, later. Each lock lasts longer than the one before. A value; the
// clock comes with the question.

package import Basics

package struct LoginThrottle {
  private struct Record {
    var failures: [Moment] = []
    var lockedUntil = Moment(nanoseconds: 0)
    var lockouts = 0
    var last = Moment(nanoseconds: 0)
  }

  private let perMinute: Int
  private var records: [String: Record] = [:]

  /// An account is given this many times the share from everywhere, an address for everybody.
  static let wholeShare = 4

  /// First lock-out, doubled each time up to the longest; forgotten after a quiet day.
  static let shortest: Duration = .seconds(60)
  static let longest: Duration = .seconds(3600)
  static let memory = 20_000

  /// - Parameter perMinute: failures within a minute that lock.
  package init(perMinute: Int) { self.perMinute = perMinute }

  /// Seconds until this account may be tried from this address; nil when now.
  package func wait(account: String, address: String, at now: Moment) -> Int? {
    let until = Self.names(account, address).compactMap { records[$0]?.lockedUntil }.max()
    guard let until, until > now else { return nil }
    return Int((until - now).seconds.rounded(.up))
  }

  /// - Returns: true when this failure locked.
  @discardableResult
  package mutating func failed(account: String, address: String, at now: Moment) -> Bool {
    if records.count > Self.memory { records = records.filter { now - $0.value.last < .seconds(600) } }
    let locks = Self.names(account, address).enumerated().map { index, name in
      fail(name, limit: index == 0 ? perMinute : perMinute * Self.wholeShare, at: now)
    }
    return locks.contains(true)
  }

  private mutating func fail(_ name: String, limit: Int, at now: Moment) -> Bool {
    var record = records[name] ?? Record()
    if now - record.last > .seconds(86_400) { record = Record() }
    record.last = now
    record.failures = record.failures.filter { now - $0 < .seconds(60) } + [now]
    defer { records[name] = record }
    guard record.failures.count >= limit else { return false }
    record.lockedUntil = now + min(Self.shortest * (1 << min(record.lockouts, 6)), Self.longest)
    record.lockouts += 1
    record.failures = []
    return true
  }

  package mutating func succeeded(account: String, address: String) {
    // The address keeps its count: one good account must not buy guesses at others.
    let names = Self.names(account, address)
    records[names[0]] = nil
    records[names[1]]?.failures = []
  }

  /// The account at this address, the account, the address.
  private static func names(_ account: String, _ address: String) -> [String] {
    let account = account.asciiLowercased
    // Whoever has one IPv6 address has 2⁶⁴ of them.
    let isSix = address.contains(":") && !address.contains(".")
    let address =
      isSix ? address.split(separator: ":", omittingEmptySubsequences: false).prefix(4).joined(separator: ":") : address
    return ["\(account) at \(address)", "account \(account)", "address \(address)"]
  }
}
