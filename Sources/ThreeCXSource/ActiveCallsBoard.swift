// Calls where Call Control is not allowed: the XAPI's list of active calls, read again and again. A row has two display
// texts and a word; what it implies is told as the difference to the row before, under the call's own number, so that a
// Call Control link that comes later goes on with the same calls.

package import Basics
package import CallModel

package struct ActiveCallsBoard: Sendable {
  private struct Row: Sendable {
    var call: ActiveCallRow
    var caller: ChannelFacts
    var callee: ChannelFacts?
    var isTalking = false
    var queue: String?
    /// The machine that has the caller.
    var service: String?
  }

  private var rows: [Int64: Row] = [:]
  private let epoch: String
  private var out: [Observation] = []
  private var kinds: [String: PartyKind] = [:]
  private var now = Timestamp(microseconds: 0)

  package init(epoch: String) { self.epoch = epoch }

  /// - Parameters:
  ///   - kinds: what numbers are, as far as it is known: talking to a queue is waiting in it.
  ///   - isFirst: what is listed was there before us.
  package mutating func apply(
    _ calls: [ActiveCallRow], kinds: [String: PartyKind], isFirst: Bool, time: Timestamp
  ) -> [Observation] {
    (now, self.kinds) = (time, kinds)
    if isFirst { tell(.inferring(true)) }
    for call in calls.sorted(by: { $0.id < $1.id }) { take(call) }
    let present = Set(calls.map(\.id))
    for id in rows.keys.sorted() where !present.contains(id) { end(id) }
    if isFirst {
      for row in rows.values.sorted(by: { $0.call.id < $1.call.id }) { list(row) }
      tell(.snapshotEnded)
      tell(.inferring(false))
    }
    defer { out = [] }
    return out
  }

  private mutating func tell(_ fact: Observation.Fact) { out.append(Observation(at: now, fact)) }

  // MARK: Rows

  private mutating func take(_ call: ActiveCallRow) {
    var row = rows[call.id] ?? begin(call)
    let callee = party(call.callee)
    let isTalking = ["talking", "connected"].contains(call.status.asciiLowercased)
    switch kinds[callee.number] ?? .unknown {
    case .queue: wait(&row, in: callee.number)
    case .ivr, .voicemail, .specialMenu, .conference: if isTalking { serve(&row, callee.number) }
    case .person, .line, .routePoint, .ringGroup, .parking, .unknown:
      guard !callee.number.isEmpty else { break }
      meet(&row, callee)
      if isTalking { talk(&row) }
    }
    row.call = call
    rows[call.id] = row
  }

  private mutating func begin(_ call: ActiveCallRow) -> Row {
    var facts = facts(call.id, party(call.caller), "caller")
    facts.state = .ring
    facts.exten = party(call.callee).number
    tell(.channel(facts))
    return Row(call: call, caller: facts)
  }

  private mutating func wait(_ row: inout Row, in queue: String) {
    guard row.queue != queue else { return }
    row.queue = queue
    row.caller.state = .up
    tell(.channel(row.caller))
    tell(.queueJoined(row.caller, queue: queue, position: nil))
  }

  /// A machine has the caller.
  private mutating func serve(_ row: inout Row, _ number: String) {
    guard row.service != number else { return }
    row.service = number
    if let former = row.callee { release(&row, former) }
    row.caller.state = .up
    tell(.channel(row.caller))
    tell(.applicationFound(row.caller, name: (kinds[number] ?? .unknown).application, data: number))
  }

  private mutating func release(_ row: inout Row, _ callee: ChannelFacts) {
    tell(.dialEnded(from: row.caller, to: callee, status: row.isTalking ? "ANSWER" : "NOANSWER", forward: nil))
    tell(.hungUp(callee, cause: row.isTalking ? 16 : 19))
    (row.callee, row.isTalking) = (nil, false)
  }

  /// Somebody is rung, or somebody else than before.
  private mutating func meet(_ row: inout Row, _ callee: (number: String, trunk: String?)) {
    var facts = facts(row.call.id, callee, callee.number)
    guard row.callee?.id != facts.id else { return }
    if let former = row.callee { release(&row, former) }
    tell(
      .dialBegan(
        from: row.caller, to: facts, dialled: callee.trunk.map { "\(callee.number)@trunk.\($0)" } ?? callee.number))
    if let queue = row.queue { tell(.agentCalled(caller: row.caller, agent: facts, queue: queue)) }
    facts.state = .ringing
    tell(.channel(facts))
    row.callee = facts
  }

  private mutating func talk(_ row: inout Row) {
    guard !row.isTalking, var callee = row.callee else { return }
    row.isTalking = true
    (callee.state, row.caller.state) = (.up, .up)
    row.callee = callee
    tell(.channel(callee))
    tell(.channel(row.caller))
    if let queue = row.queue {
      tell(.agentConnected(caller: row.caller, agent: callee, queue: queue, waitSeconds: nil))
    }
    for facts in [row.caller, callee] { tell(.bridgeEntered(facts, bridge(row))) }
  }

  private mutating func end(_ id: Int64) {
    guard let row = rows.removeValue(forKey: id) else { return }
    if let queue = row.queue, !row.isTalking { tell(.queueAbandoned(row.caller, queue: queue, waitSeconds: nil)) }
    if let callee = row.callee {
      if !row.isTalking { tell(.dialEnded(from: row.caller, to: callee, status: "NOANSWER", forward: nil)) }
      tell(.hungUp(callee, cause: row.isTalking ? 16 : 19))
    }
    tell(.hungUp(row.caller, cause: 16))
  }

  private mutating func list(_ row: Row) {
    for facts in [row.caller, row.callee].compactMap(\.self) {
      tell(
        .snapshotChannel(
          facts, dialled: "", application: "", data: "", bridge: row.isTalking ? bridge(row).id : nil))
    }
  }

  private func bridge(_ row: Row) -> BridgeFacts { BridgeFacts(id: "\(epoch)/\(row.call.id)", kind: .talk) }

  // MARK: Texts

  private func facts(_ id: Int64, _ party: (number: String, trunk: String?), _ role: String) -> ChannelFacts {
    let name = party.trunk.map { "trunk.\($0)" } ?? party.number
    return ChannelFacts(
      id: "\(epoch)/\(id)/list/\(role)", group: "\(epoch)/\(id)", name: "3CX/\(name)-\(id)", number: party.number)
  }

  /// `1002 tools, admin` is 1002; `10000 provider (+1515…)` is the number in brackets by trunk 10000, unless the first
  /// number is known to be somebody whose name ends so.
  func party(_ text: String) -> (number: String, trunk: String?) {
    let first = String(text.prefix { $0 != " " })
    if let kind = kinds[first], kind != .line, kind != .unknown { return (first, nil) }
    guard let open = text.lastIndex(of: "("), let close = text.lastIndex(of: ")"), open < close else {
      return (first, nil)
    }
    let inside = String(text[text.index(after: open)..<close]).trimmed
    let isNumber = !inside.isEmpty && inside.utf8.allSatisfy { (48...57).contains($0) || $0 == 43 }
    return isNumber ? (inside, first) : (first, nil)
  }
}
