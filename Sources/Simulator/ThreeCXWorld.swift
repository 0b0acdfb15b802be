// The floor of a simulated 3CX: DNs and their participants. What changes is told by sequence-numbered frames that say
// which entity changed; faults befall the frames, never the floor.

internal import JSON
package import Loop

@LoopActor
package final class ThreeCXWorld {
  package struct Part: Sendable {
    package var dn: String
    package var id: Int
    package var callID: Int
    package var status: String
    package var partyDN: String
    package var partyKind: String
    package var partyNumber = ""
    package var partyName = ""
    package var did = ""
    package var onBehalfOf = ""
    package var referredBy = ""
    package var originatedBy = ""
    package var originatedByKind = "None"
  }

  /// Each is a chance in 0...1 of one frame.
  package struct Faults: Sendable {
    package var drop = 0.0
    package var double = 0.0
    package var swap = 0.0
    package init(drop: Double = 0, double: Double = 0, swap: Double = 0) {
      (self.drop, self.double, self.swap) = (drop, double, swap)
    }
  }

  package let kinds: [String: String]
  /// An extension that rings and is never answered.
  static let unattended = "149"
  package private(set) var parts: [Int: Part] = [:]
  package var faults = Faults()
  /// Told each frame's text; set by whoever has the socket.
  package var onFrame: @LoopActor ([UInt8]) -> Void = { _ in }
  /// Told every change as it is, whatever befalls its frame.
  package var onChange: @LoopActor (Part, _ isRemoval: Bool) -> Void = { _, _ in }
  package private(set) var lostFrames = 0
  private var random: SeededRandom
  private var lastID: Int
  private var lastCall = 0
  private var sequence: Int64 = 0
  private var delayed: [UInt8]?

  /// Trunks have five digits, queues begin with 8, extensions are 100 to 139.
  package init(seed: UInt64 = 1, firstID: Int = 0) {
    random = SeededRandom(seed: seed)
    lastID = firstID
    var kinds = ["800": "Wqueue", "801": "Wqueue"]
    for number in 100..<140 { kinds[String(number)] = "Wextension" }
    kinds[Self.unattended] = "Wextension"
    self.kinds = kinds
  }

  /// Calls since the PBX started.
  package var callsMade: Int { lastCall }

  package func newCall() -> Int {
    lastCall += 1
    return lastCall
  }

  /// The PBX restarts: nobody is left, and ids begin again.
  package func restart() {
    (parts, lastID, lastCall, sequence, delayed) = ([:], 0, 0, 0, nil)
  }

  /// A new connection counts its frames from one.
  package func startCounting() { (sequence, delayed) = (0, nil) }

  package func chance(_ share: Double) -> Bool { Double(random.next() >> 11) / Double(1 << 53) < share }

  // MARK: Changing

  @discardableResult
  package func add(
    _ dn: String, _ status: String, in call: Int, with partyDN: String, _ partyKind: String, number: String = "",
    _ fill: (inout Part) -> Void = { _ in }
  ) -> Int {
    lastID += 1
    var part = Part(
      dn: dn, id: lastID, callID: call, status: status, partyDN: partyDN, partyKind: partyKind,
      partyNumber: number.isEmpty ? partyDN : number)
    fill(&part)
    parts[lastID] = part
    tell(part, isRemoval: false)
    return lastID
  }

  package func change(_ id: Int, _ body: (inout Part) -> Void) {
    guard var part = parts[id] else { return }
    body(&part)
    parts[id] = part
    tell(part, isRemoval: false)
  }

  package func connect(_ ids: Int...) { for id in ids { change(id) { $0.status = "Connected" } } }

  package func remove(_ ids: Int...) {
    for id in ids {
      if let part = parts.removeValue(forKey: id) { tell(part, isRemoval: true) }
    }
  }

  // MARK: Frames

  private func tell(_ part: Part, isRemoval: Bool) {
    onChange(part, isRemoval)
    sequence += 1
    var json = JSONWriter()
    json.object { json in
      json.field("sequence", sequence)
      json.key("event")
      json.object { json in
        json.field("event_type", isRemoval ? Int64(1) : 0)
        json.field("entity", "/callcontrol/\(part.dn)/participants/\(part.id)")
        json.key("attached_data")
        json.null()
      }
    }
    send(json.bytes)
  }

  private func send(_ frame: [UInt8]) {
    if chance(faults.drop) {
      lostFrames += 1
      return
    }
    if let earlier = delayed {
      delayed = nil
      onFrame(frame)
      return onFrame(earlier)
    }
    if chance(faults.swap) {
      delayed = frame
      return
    }
    onFrame(frame)
    if chance(faults.double) { onFrame(frame) }
  }

  // MARK: Reading

  package func json(_ part: Part) -> [UInt8] {
    var json = JSONWriter()
    write(part, &json)
    return json.bytes
  }

  private func write(_ part: Part, _ json: inout JSONWriter) {
    json.object { json in
      json.field("id", part.id)
      json.field("status", part.status)
      json.field("dn", part.dn)
      json.field("party_caller_name", part.partyName)
      json.field("party_dn", part.partyDN)
      json.field("party_caller_id", part.partyNumber)
      json.field("party_did", part.did)
      json.field("device_id", "sip:\(part.dn)@127.0.0.1:5483")
      json.field("party_dn_type", part.partyKind)
      json.field("direct_control", kinds[part.dn] == "Wextension")
      json.field("originated_by_dn", part.originatedBy)
      json.field("originated_by_type", part.originatedByKind)
      json.field("referred_by_dn", part.referredBy)
      json.field("referred_by_type", kinds[part.referredBy] ?? "None")
      json.field("on_behalf_of_dn", part.onBehalfOf)
      json.field("on_behalf_of_type", kinds[part.onBehalfOf] ?? "None")
      json.field("callid", part.callID)
      json.field("legid", part.id)
    }
  }

  /// The answer to `GET /callcontrol`, or one of its members.
  package func snapshot(of dn: String? = nil) -> [UInt8] {
    var json = JSONWriter()
    guard let dn else {
      json.array { json in for dn in kinds.keys.sorted() { write(dn: dn, &json) } }
      return json.bytes
    }
    write(dn: dn, &json)
    return json.bytes
  }

  private func write(dn: String, _ json: inout JSONWriter) {
    json.object { json in
      json.field("dn", dn)
      json.field("type", kinds[dn])
      json.key("devices")
      json.array { json in
        json.object { json in
          json.field("dn", dn)
          json.field("device_id", "sip:\(dn)@127.0.0.1:5483")
          json.field("user_agent", "Simulated")
        }
      }
      json.key("participants")
      json.array { json in
        for part in parts.values.sorted(by: { $0.id < $1.id }) where part.dn == dn { write(part, &json) }
      }
    }
  }
}
