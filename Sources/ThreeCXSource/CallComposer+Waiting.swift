// Callers of queues that may not be seen: between two agents nothing of their calls is shown by Call Control, while the
// XAPI's list of active calls shows every call of the PBX.

package import Basics
package import CallModel

extension CallComposer {
  /// Whether the list of active calls would tell something that is not known.
  package var wantsList: Bool {
    conversations.values.contains { call in
      call.channels.contains { isUnseenWaiting($0, in: call) && moment - ($0.goneMoment ?? moment) >= .seconds(1) }
    }
  }

  /// What the list says of them: who stands in it waits on; who is missing twice has gone.
  package mutating func listed(_ calls: [ActiveCallRow], time: Timestamp, at moment: Moment) -> [Observation] {
    begin(time, moment)
    for (id, call) in conversations.sorted(by: { $0.key < $1.key }) {
      guard let caller = call.channels.first(where: { isUnseenWaiting($0, in: call) }) else { continue }
      let isListed = calls.contains { Self.names($0, caller.facts.number, call: id) }
      conversations[id]?.confirmedAt = isListed ? moment : call.confirmedAt
      conversations[id]?.timesMissing = isListed ? 0 : call.timesMissing + 1
      if !isListed, call.timesMissing >= 1 { resolve(id, isCertain: true) }
    }
    return takeOut()
  }

  /// Whether its id is the call's is not documented: the number alone says it as well.
  private static func names(_ row: ActiveCallRow, _ number: String, call: Int) -> Bool {
    row.id == Int64(call) || !number.isEmpty && "\(row.caller) \(row.callee)".contains(number)
  }

  private func isUnseenWaiting(_ channel: Conversation.Channel, in call: Conversation) -> Bool {
    isWave(call) && channel.key == nil && channel.role == .caller && channel.goneAt != nil
  }
}
