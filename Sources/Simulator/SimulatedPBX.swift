// A small Asterisk without telephones: channels, bridges, a queue and a parking lot, told in the words of AMI 11.0.0.
// It is as faithful as the recordings it was written after (Fixtures/asterisk), and no more.

internal import Basics
internal import Crypto
package import Loop

@LoopActor
package final class SimulatedPBX {
  struct Channel {
    let name: String
    let uniqueid: String
    var linkedid: String
    var state: Int
    var number: String
    var callerName: String
    var connected = ""
    var context: String
    var exten: String
    var bridge: String?
    var application = ""
    let bornAt: Moment
  }

  package struct Settings: Sendable {
    package var rate = 1.0
    package var seed: UInt64 = 1
    /// Calls to make; nil for no end.
    package var calls: Int?
    /// Every span of a generated call is multiplied by this.
    package var pace = 1.0

    package init() {}
  }

  /// One event as its lines, and the class it belongs to.
  var onEvent: @LoopActor (_ eventClass: String, _ lines: [(String, String)]) -> Void = { _, _ in }
  package private(set) var callsMade = 0
  package var onIdle: @LoopActor () -> Void = {}

  private(set) var channels: [String: Channel] = [:]
  private(set) var bridges: [String: [String]] = [:]
  private(set) var parked: [(slot: String, channel: String)] = []
  private(set) var waiting: [(queue: String, channel: String)] = []
  let startedAt = Timestamp.now()
  var random: SeededRandom
  let settings: Settings
  private var serial = 0
  private let loop = LoopActor.loop

  package init(_ settings: Settings) {
    self.settings = settings
    random = SeededRandom(seed: settings.seed)
  }

  // MARK: Primitives, each with the events Asterisk sends for it

  func create(
    _ endpoint: String, state: Int, number: String, name: String, exten: String, context: String = "internal",
    linked: String? = nil, id: String? = nil
  ) -> String {
    serial += 1
    let uniqueid = id ?? "\(Timestamp.now().microseconds / 1_000_000).\(serial)"
    let hex = String(serial, radix: 16)
    let channel = Channel(
      name: "PJSIP/\(endpoint)-" + String(repeating: "0", count: max(0, 8 - hex.count)) + hex, uniqueid: uniqueid,
      linkedid: linked ?? uniqueid, state: state, number: number, callerName: name, context: context, exten: exten,
      bornAt: Moment.now())
    channels[uniqueid] = channel
    tell("Newchannel", of: uniqueid)
    return uniqueid
  }

  func setState(_ id: String, _ state: Int) {
    guard channels[id] != nil else { return }
    channels[id]?.state = state
    tell("Newstate", of: id)
  }

  func beginDial(_ from: String?, _ to: String, _ dialString: String) {
    if let from, let caller = channels[from] { channels[to]?.connected = caller.number }
    tellDial("DialBegin", from, to, [("DialString", dialString)])
  }

  func ring(_ from: String?, _ to: String) {
    setState(to, 5)
    tellDial("DialState", from, to, [("DialStatus", "RINGING")])
  }

  func endDial(_ from: String?, _ to: String, _ status: String) {
    tellDial("DialEnd", from, to, [("DialStatus", status)])
  }

  func join(_ members: [String]) {
    let bridge = Self.bridgeID(serial + members.count)
    serial += 1
    bridges[bridge] = []
    tell("BridgeCreate", lines: bridgeLines(bridge))
    for id in members { enter(id, bridge) }
  }

  func enter(_ id: String, _ bridge: String) {
    guard channels[id] != nil else { return }
    channels[id]?.bridge = bridge
    bridges[bridge, default: []].append(id)
    let oldest = bridges[bridge]!.compactMap { channels[$0]?.linkedid }.min {
      (channels[$0]?.bornAt ?? Moment.now()) < (channels[$1]?.bornAt ?? Moment.now())
    }
    for member in bridges[bridge]! { if let oldest { channels[member]?.linkedid = oldest } }
    tell("BridgeEnter", of: id, bridgeLines(bridge))
  }

  func leave(_ id: String) {
    guard let bridge = channels[id]?.bridge else { return }
    channels[id]?.bridge = nil
    bridges[bridge]?.removeAll { $0 == id }
    tell("BridgeLeave", of: id, bridgeLines(bridge))
    if bridges[bridge]?.isEmpty == true, !bridge.hasPrefix("parking") {
      tell("BridgeDestroy", lines: bridgeLines(bridge))
      bridges[bridge] = nil
    }
  }

  func requestHangup(_ id: String, cause: Int = 16) { tell("HangupRequest", of: id, [("Cause", String(cause))]) }

  func hangUp(_ id: String, cause: Int = 16) {
    guard channels[id] != nil else { return }
    leave(id)
    waiting.removeAll { $0.channel == id }
    parked.removeAll { $0.channel == id }
    tell("Hangup", of: id, [("Cause", String(cause)), ("Cause-txt", "Normal Clearing")])
    channels[id] = nil
    if channels.isEmpty, let limit = settings.calls, callsMade >= limit { onIdle() }
  }

  func hold(_ id: String, _ holds: Bool) { if channels[id] != nil { tell(holds ? "Hold" : "Unhold", of: id) } }

  func move(_ id: String, context: String, exten: String) {
    channels[id]?.context = context
    channels[id]?.exten = exten
  }

  func runApplication(_ id: String, _ name: String) { channels[id]?.application = name }

  // MARK: Queue and parking

  func joinQueue(_ id: String, _ queue: String) {
    waiting.append((queue, id))
    runApplication(id, "Queue")
    let position = waiting.count { $0.queue == queue }
    tell(
      "QueueCallerJoin", class: "agent", of: id,
      [("Queue", queue), ("Position", String(position)), ("Count", String(position))])
  }

  func leaveQueue(_ id: String, abandoned: Bool) {
    guard let place = waiting.firstIndex(where: { $0.channel == id }) else { return }
    let queue = waiting.remove(at: place).queue
    let lines = [("Queue", queue), ("Position", "1"), ("Count", "0")]
    if abandoned {
      tell("QueueCallerAbandon", class: "agent", of: id, lines + [("OriginalPosition", "1"), ("HoldTime", "1")])
    }
    tell("QueueCallerLeave", class: "agent", of: id, lines)
  }

  func park(_ id: String, slot wanted: String?) -> String? {
    guard let channel = channels[id] else { return nil }
    let slot = wanted ?? (701...799).map(String.init).first { slot in !parked.contains { $0.slot == slot } } ?? "799"
    guard !parked.contains(where: { $0.slot == slot }) else { return nil }
    let others = channel.bridge.flatMap { bridges[$0] }?.filter { $0 != id } ?? []
    parked.append((slot, id))
    tell(
      "ParkedCall",
      lines: block(channel, "Parkee") + [
        ("Parkinglot", "default"), ("ParkingSpace", slot), ("ParkingTimeout", "45"), ("ParkingDuration", "0"),
      ])
    leave(id)
    channels[id]?.bridge = "parking-default"
    bridges["parking-default", default: []].append(id)
    tell("BridgeEnter", of: id, bridgeLines("parking-default"))
    for other in others { hangUp(other) }
    return slot
  }

  // MARK: Telling

  private static func bridgeID(_ serial: Int) -> String {
    "5d0e7a3c-0000-4000-8000-" + String(String(serial + 1_000_000_000_000).suffix(12))
  }

  func bridgeLines(_ bridge: String) -> [(String, String)] {
    let isParking = bridge.hasPrefix("parking")
    return [
      ("BridgeUniqueid", bridge), ("BridgeType", isParking ? "base" : "basic"),
      ("BridgeTechnology", isParking ? "holding_bridge" : "simple_bridge"),
      ("BridgeCreator", isParking ? "Parking" : "<unknown>"), ("BridgeName", isParking ? "default" : "<unknown>"),
      ("BridgeNumChannels", String(bridges[bridge]?.count ?? 0)), ("BridgeVideoSourceMode", "none"),
    ]
  }

  func block(_ channel: Channel, _ prefix: String = "") -> [(String, String)] {
    func known(_ text: String) -> String { text.isEmpty ? "<unknown>" : text }
    return [
      ("Channel", channel.name), ("ChannelState", String(channel.state)),
      ("ChannelStateDesc", Self.describe(channel.state)),
      ("CallerIDNum", known(channel.number)), ("CallerIDName", known(channel.callerName)),
      ("ConnectedLineNum", known(channel.connected)), ("ConnectedLineName", "<unknown>"), ("Language", "en"),
      ("AccountCode", ""), ("Context", channel.context), ("Exten", channel.exten), ("Priority", "1"),
      ("Uniqueid", channel.uniqueid), ("Linkedid", channel.linkedid),
    ].map { (prefix + $0.0, $0.1) }
  }

  private static func describe(_ state: Int) -> String {
    let names = ["Down", "Rsrvd", "OffHook", "Dialing", "Ring", "Ringing", "Up", "Busy"]
    return names.indices.contains(state) ? names[state] : "Unknown"
  }

  private func tell(_ event: String, class eventClass: String = "call", of id: String, _ more: [(String, String)] = [])
  {
    guard let channel = channels[id] else { return }
    let isBridge = event.hasPrefix("Bridge")
    tell(event, class: eventClass, lines: isBridge ? more + block(channel) : block(channel) + more)
  }

  private func tellDial(_ event: String, _ from: String?, _ to: String, _ more: [(String, String)]) {
    guard let callee = channels[to] else { return }
    tell(event, lines: (from.flatMap { channels[$0] }.map { block($0) } ?? []) + block(callee, "Dest") + more)
  }

  func tell(_ event: String, class eventClass: String = "call", lines: [(String, String)]) {
    onEvent(eventClass, [("Event", event), ("Privilege", "\(eventClass),all")] + lines)
  }

  // MARK: Time

  /// Does it later, in the pace of the settings.
  func after(_ seconds: Double, _ body: @escaping @LoopActor () -> Void) {
    loop.after(.nanoseconds(Int64(seconds * settings.pace * 1e9)), body)
  }

  func countCall() { callsMade += 1 }

  /// An extension that rings and is never answered.
  static let unattended = "299"
}
