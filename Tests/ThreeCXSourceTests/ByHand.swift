import Basics
import CallModel
import JSON
import Normaliser
import Testing

@testable import ThreeCXSource

/// The composer and the switchboard, told of participants one by one.
struct ByHand {
  var composer = CallComposer(epoch: "1")
  var board = Switchboard(source: "sidetone://test/3cx")
  var events: [CallEvent] = []
  var time = 0.0
  var kinds: [String: PartyKind] = [:]
  var moment: Moment { Moment(nanoseconds: Int64(time * 1e9)) }
  var stamp: Timestamp { Timestamp(microseconds: 1_800_000_000_000_000 + Int64(time * 1e6)) }

  init(queueSeen: Bool = true, people: Range<Int> = 100..<140) {
    for number in people { kinds[String(number)] = .person }
    if queueSeen { kinds["800"] = .queue }
    observe([Observation(at: stamp, .linkUp(epoch: nil))])
    observe(composer.floor([], kinds: kinds, isFirst: true, time: stamp, at: moment))
  }
  mutating func observe(_ list: [Observation]) { for one in list { events += board.apply(one) } }
  mutating func run(_ seconds: Double) {
    let end = time + seconds
    while time < end - 1e-9 {
      time = min(end, time + 0.1)
      observe(composer.tick(time: stamp, at: moment))
    }
  }
  static func part(
    _ dn: String, _ id: Int, _ status: String, _ call: Int, _ party: String, _ kind: String, number: String? = nil,
    behalf: String = "", behalfKind: String = "None", referred: String = "", extra: String = ""
  ) -> Participant? {
    let json = """
      {"id":\(id),"status":"\(status)","dn":"\(dn)","party_dn":"\(party)","party_dn_type":"\(kind)","party_caller_id":"\(number ?? party)","callid":\(call),"legid":1,"on_behalf_of_dn":"\(behalf)","on_behalf_of_type":"\(behalfKind)","referred_by_dn":"\(referred)","referred_by_type":"\(referred.isEmpty ? "None" : "Wextension")"\(extra)}
      """
    return (try? JSONValue(parsing: Array(json.utf8))).flatMap { Participant($0, dn: dn) }
  }
  /// A participant is new or changed; what is none fails the test.
  mutating func set(_ part: Participant?) {
    guard let part else {
      Issue.record("not a participant")
      return
    }
    observe(composer.changed(part, time: stamp, at: moment))
  }
  mutating func gone(_ dn: String, _ id: Int) {
    let key = Participant.Key(dn: dn, id: id)
    observe(composer.gone(key, time: stamp, at: moment))
  }
  mutating func floor(_ parts: [Participant?], first: Bool) {
    let parts = parts.compactMap(\.self)
    observe(composer.floor(parts.sorted { $0.key < $1.key }, kinds: kinds, isFirst: first, time: stamp, at: moment))
  }
  mutating func list(_ calls: [ActiveCallRow]) { observe(composer.listed(calls, time: stamp, at: moment)) }

  /// The link goes, and comes back to this.
  mutating func reconnect(to parts: [Participant?]) {
    for fact in [.linkDown(reason: "test"), .linkUp(epoch: nil)] as [Observation.Fact] {
      observe([Observation(at: stamp, fact)])
    }
    floor(parts, first: true)
  }
  /// 101 talks to 102, who asks 103 in a call of its own.
  mutating func consult() {
    talk("101", 1, "102", 2, 1)
    talk("102", 3, "103", 4, 2)
  }

  private mutating func talk(_ from: String, _ one: Int, _ to: String, _ two: Int, _ call: Int) {
    set(Self.part(from, one, "Dialing", call, to, "Wextension"))
    set(Self.part(to, two, "Ringing", call, from, "Wextension"))
    run(1)
    set(Self.part(to, two, "Connected", call, from, "Wextension"))
    set(Self.part(from, one, "Connected", call, to, "Wextension"))
    run(1)
  }

  static let toldOfConsultation = [
    "call.ring [101 102 - - -]",
    "call.leg.ringing extension:102 callee [101 102 - - -]",
    "call.started [101 102 extension:102 - -]",
    "call.leg.answered extension:102 callee [101 102 extension:102 - -]",
    "call.ring [102 103 - - -]",
    "call.leg.ringing extension:103 callee [102 103 - - -]",
    "call.started [102 103 extension:103 - -]",
    "call.leg.answered extension:103 callee [102 103 extension:103 - -]",
  ]

  /// What was told, link aside.
  var told: [String] { events.filter { $0.call != nil }.map(Floor.line) }
}
