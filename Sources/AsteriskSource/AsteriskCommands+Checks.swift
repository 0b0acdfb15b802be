// Looking before leaping: what a command needs of the call and of the dialplan, and which channels it is about.

internal import CallModel

extension AsteriskCommands {
  /// What takes people out of their talk needs them in one.
  /// - Parameter evenHeld: held by a telephone they are still in it, and can be taken out.
  func mustTalk(_ call: Call, evenHeld: Bool = true) throws(CommandRefusal) {
    switch call.state {
    case .parked: throw CommandRefusal(.notNow, "parked", "The call is parked.", remedy: "Retrieve it first.")
    case .held where call.legs.contains(where: \.isHolding):
      if evenHeld { return }
      throw CommandRefusal(
        .notNow, "held-by-telephone", "A telephone holds the call.", remedy: "Only it can take the call back.")
    case .held: throw CommandRefusal(.notNow, "held", "The call is held.", remedy: "Resume it first.")
    case .dialing, .ringing, .queued, .active, .ended: break
    }
  }

  /// A target that the dialplan does not know would lose the customer. Where the account may not ask, Asterisk decides.
  func mustExist(_ extension: String) async throws(CommandRefusal) {
    let question = "DIALPLAN_EXISTS(\(source.config.dialContext),\(`extension`),1)"
    guard case .answered(let answer) = await source.perform(AMIAction("Getvar", [("Variable", question)])),
      answer.isSuccess, answer["Value"] == "0"
    else { return }
    throw CommandRefusal(
      .badTarget, "unknown-extension",
      "The dialplan has no extension \(`extension`) in context \(source.config.dialContext).",
      remedy: "Check the number, or set [asterisk] dial_context to the context that people dial from.")
  }

  /// Asterisk would park the call in another slot, or nowhere (res_parking, `parking_lot_get_space`).
  func mustBeFree(_ slot: String) async throws(CommandRefusal) {
    guard let number = Int(slot) else {
      throw CommandRefusal(.badTarget, "unknown-slot", "A parking slot is a number.")
    }
    if case .answered(let lots) = await source.perform(AMIAction("Parkinglots"), isList: true), lots.isSuccess {
      let ranges = zip(lots.values("StartSpace"), lots.values("StopSpace")).map { "\($0)–\($1)" }
      let isKnown = zip(lots.values("StartSpace"), lots.values("StopSpace")).contains { first, last in
        number >= Int(first) ?? .max && number <= Int(last) ?? .min
      }
      if !isKnown, !ranges.isEmpty {
        throw CommandRefusal(.badTarget, "unknown-slot", "Parking slots are \(ranges.joined(separator: ", ")).")
      }
    }
    guard case .answered(let parked) = await source.perform(AMIAction("ParkedCalls"), isList: true),
      parked.values("ParkingSpace").contains(slot)
    else { return }
    throw CommandRefusal(
      .notNow, "slot-taken", "Somebody is parked in \(slot).", remedy: "Leave out the slot for any free one.")
  }

  // MARK: Which channels

  static let gone = CommandRefusal(.notNow, "call-moved-on", "The call's channels are gone.")

  func device(_ name: String) -> String {
    name.contains("/") ? name : source.config.deviceTemplate.replacing("{}", with: name)
  }

  func live(_ call: Call) -> [Leg] { call.legs.filter { $0.state != .ended && !$0.channel.isEmpty } }

  /// Who acts and who is acted on: the extension that took or placed the call, and the party it talks with.
  func pair(_ call: Call) throws(CommandRefusal) -> (agent: Leg, other: Leg) {
    let legs = live(call).filter { $0.state == .answered }
    guard legs.count >= 2 else {
      throw CommandRefusal(.notNow, "not-connected", "The call has no two connected parties now.")
    }
    let extensions = legs.filter { $0.party.kind == .extension }
    let agent = extensions.last { $0.role != .caller } ?? extensions.last ?? legs[1]
    guard let other = legs.first(where: { $0.id != agent.id }) else { throw Self.gone }
    return (agent, other)
  }
}
