// Whatever a 3CX says of its participants, in whatever order: nothing traps, and when nobody is left no call is.

private struct Script {
  var bytes: ArraySlice<UInt8>

  mutating func next(_ limit: Int) -> Int { Int(bytes.popFirst() ?? 0) % limit }

  mutating func dn() -> String { ["101", "102", "103", "800", "900", ""][next(6)] }

  mutating func participant(_ key: Participant.Key) -> Participant? {
    let kinds = ["Wextension", "Wexternalline", "Wqueue", "Wivr", "Wvoicemail", "Wspecialmenu", "None", "Wroutepoint"]
    var members: [(String, JSONValue)] = [
      ("id", .int(Int64(key.id))), ("dn", .string(key.dn)),
      ("status", .string(["Dialing", "Ringing", "Connected", "Odd"][next(4)])), ("callid", .int(Int64(next(5)))),
    ]
    for name in ["party_dn", "on_behalf_of_dn", "referred_by_dn", "originated_by_dn"] {
      members.append((name, .string(dn())))
    }
    for name in ["party_dn_type", "on_behalf_of_type", "referred_by_type", "originated_by_type"] {
      members.append((name, .string(kinds[next(8)])))
    }
    members.append(("party_caller_id", .string(["", "+1555", "101"][next(3)])))
    return Participant(.object(members), dn: key.dn)
  }

  mutating func key() -> Participant.Key { Participant.Key(dn: dn(), id: next(6)) }
}

private struct Machine {
  var session = CallControlSession(livePeriod: .seconds(15), idlePeriod: .seconds(300))
  var composer = CallComposer(epoch: "1")
  var asked: [Participant.Key] = []
  var time = Moment(nanoseconds: 0)
  var told = 0
  let kinds: [String: PartyKind] = ["800": .queue, "900": .voicemail, "101": .person, "102": .person, "103": .person]

  var stamp: Timestamp { Timestamp(microseconds: time.nanoseconds / 1000) }

  mutating func perform(_ effects: [CallControlSession.Effect]) {
    for effect in effects {
      switch effect {
      case .fetch(let key): asked.append(key)
      case .takeSnapshot: break
      case .changed(let part): told += composer.changed(part, time: stamp, at: time).count
      case .gone(let key): told += composer.gone(key, time: stamp, at: time).count
      case .floor(let parts, let isFirst):
        told += composer.floor(parts, kinds: kinds, isFirst: isFirst, time: stamp, at: time).count
      }
    }
  }

  mutating func pass(_ span: Duration) {
    time = time + span
    perform(session.tick(at: time))
    told += composer.tick(time: stamp, at: time).count
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  _ = CallControlFrame(bytes)
  _ = DNState.list(bytes)
  _ = PhoneSystemINI(parsing: bytes).sections
  var script = Script(bytes: bytes[...])
  var machine = Machine()
  machine.perform(machine.session.opened(at: machine.time))
  machine.perform(machine.session.snapshot([], at: machine.time))
  while !script.bytes.isEmpty {
    switch script.next(8) {
    case 0...2:
      let frame = CallControlFrame(
        sequence: script.next(2) == 0 ? nil : Int64(script.next(256)) - 3, isRemoval: script.next(3) == 0,
        entity: .participant(script.key()))
      machine.perform(machine.session.received(frame, at: machine.time))
    case 3...5:
      guard !machine.asked.isEmpty else { continue }
      let key = machine.asked.removeFirst()
      let answer: CallControlSession.Answer =
        switch script.next(4) {
        case 0: .notThere
        case 1: .failed
        default: script.participant(key).map { .found($0) } ?? .failed
        }
      machine.perform(machine.session.fetched(key, answer, at: machine.time))
    case 6:
      // As an effect would have it: many at once, under keys of which some are known.
      let parts = (0..<script.next(5)).compactMap { _ in script.participant(script.key()) }
      let all = Dictionary(parts.map { ($0.key, $0) }) { first, _ in first }.values.sorted { $0.key < $1.key }
      machine.told +=
        machine.composer.floor(
          all, kinds: machine.kinds, isFirst: script.next(2) == 0, time: machine.stamp, at: machine.time
        ).count
    default: machine.pass(.milliseconds(script.next(30) * 100))
    }
  }
  machine.told +=
    machine.composer.floor(
      [], kinds: machine.kinds, isFirst: true, time: machine.stamp, at: machine.time
    ).count
  // Longer than anybody is waited for.
  for _ in 0..<2 { machine.pass(.seconds(10)) }
  precondition(machine.composer.isEmpty, "a call is left, and nobody is in it")
  return 0
}
