// Compares the events of a session with what the telephones saw. Says what differs, in words.

package import CallModel
internal import JSON

package struct CallStory {
  package let events: [CallEvent]
  package var last: Call { events.last!.call! }
}

package enum Truth {
  /// The events of each call, in the order the calls were first told.
  package static func stories(_ events: [CallEvent]) -> [CallStory] {
    var order: [CallID] = []
    var byCall: [CallID: [CallEvent]] = [:]
    for event in events {
      guard let id = event.call?.id else { continue }
      if byCall[id] == nil { order.append(id) }
      byCall[id, default: []].append(event)
    }
    return order.map { CallStory(events: byCall[$0]!) }
  }

  /// Every difference; empty when the session is understood.
  /// - Parameter timed: whether spans are compared, which needs the recording's own pace.
  package static func differences(
    _ connection: String, _ events: [CallEvent], timed: Bool, rename: (String) -> String = { $0 }
  ) -> [String] {
    let suffix = connection.split(separator: ".").dropFirst().first.map(String.init)
    let wanted = (Fixtures.truth(connection)["calls"]?.array ?? []).filter { isVisible($0, suffix) }
    var open = stories(events)
    var found: [String] = []
    if open.count != wanted.count { found.append("\(open.count) calls instead of \(wanted.count)") }
    for call in wanted {
      let judged = open.enumerated().map {
        ($0.offset, compare(call, $0.element, connection, timed && suffix != "late", rename))
      }
      guard let best = judged.min(by: { $0.1.count < $1.1.count }) else { continue }
      open.remove(at: best.0)
      if !best.1.isEmpty {
        found.append("\(call["from"]?.string ?? "—") → \(call["to"]?.string ?? "—"): " + best.1.joined(separator: "; "))
      }
    }
    return found
  }

  private static func isVisible(_ call: JSONValue, _ suffix: String?) -> Bool {
    if call["visible"]?.bool == false { return false }
    if call["steps"]?.array?.isEmpty == true { return false }
    if call["file"] != nil || suffix == "after" { return call["file"]?.string == suffix }
    return true
  }

  private static func compare(
    _ truth: JSONValue, _ story: CallStory, _ connection: String, _ timed: Bool, _ rename: (String) -> String
  ) -> [String] {
    let call = story.last
    let mayBeNull = connection.hasPrefix("event-filter")
    var found: [String] = []
    func expect(_ name: String, _ isRight: Bool, _ got: String) { if !isRight { found.append("\(name) is \(got)") } }
    expect("from", call.from?.raw == truth["from"]?.string.map(rename), call.from?.raw ?? "null")
    expect("to", call.to?.raw == truth["to"]?.string.map(rename), call.to?.raw ?? "null")
    expect(
      "answered_by", isParty(call.answeredBy, truth["answered_by"]?.string, mayBeNull, rename),
      "\(String(describing: call.answeredBy))")
    if let ended = truth["ended_by"]?.string {
      expect("ended_by", isParty(call.endedBy, ended, mayBeNull, rename), "\(String(describing: call.endedBy))")
    }
    expect(
      "result", isResult(call, truth["result"]?.string ?? ""),
      "\(call.disposition?.rawValue ?? "null")/\(call.reason ?? "null")")
    let ends = story.events.count { $0.kind == .ended }
    expect("ends", ends == 1, String(ends))
    if timed {
      expect(
        "ring_s", isClose(call.ringSeconds, truth["ring_s"]?.double, mayBeNull),
        "\(String(describing: call.ringSeconds))")
      expect(
        "talk_s", isClose(call.talkSeconds, truth["talk_s"]?.double, mayBeNull),
        "\(String(describing: call.talkSeconds))")
    }
    if let missing = missingStep(truth["steps"]?.array?.compactMap(\.string) ?? [], story.events, rename) {
      found.append("step \(missing) is missing")
    }
    return found
  }

  private static func isClose(_ got: Double?, _ wanted: Double?, _ mayBeNull: Bool) -> Bool {
    guard let wanted else { return true }
    return got.map { abs($0 - wanted) <= 0.3 } ?? mayBeNull
  }

  private static func isResult(_ call: Call, _ result: String) -> Bool {
    switch result {
    case "unreachable", "rejected", "unknown_number": call.disposition == .failed && call.reason == result
    default: call.disposition?.rawValue == result
    }
  }

  /// A bare number is an extension or an outside party; the rest as DESIGN names it.
  private static func isParty(_ got: Party?, _ wanted: String?, _ mayBeNull: Bool, _ rename: (String) -> String) -> Bool
  {
    guard let wanted else { return got == nil }
    guard let got else { return mayBeNull }
    if wanted == "carrier" { return got.kind == .external }
    if wanted == "system" { return got.kind == .system }
    if wanted.hasPrefix("voicemail:") {
      return got.kind == .voicemail && got.id == rename(String(wanted.dropFirst(10)))
    }
    if wanted.hasPrefix("conference:") {
      return got.kind == .conference && got.id == rename(String(wanted.dropFirst(11)))
    }
    if wanted.hasPrefix("ivr:") { return got.kind == .ivr && got.id == rename(String(wanted.dropFirst(4))) }
    if wanted.hasPrefix("stasis:") || ["service", "echo", "voicemail-main"].contains(wanted) {
      return got.kind == .application
    }
    return got.isPerson && got.id == rename(wanted)
  }

  // MARK: Steps

  /// The first step that the events do not contain in order. Rings of several telephones at once have no order.
  private static func missingStep(_ steps: [String], _ events: [CallEvent], _ rename: (String) -> String) -> String? {
    var at = 0
    var rungOnce = false
    var groups: [[String]] = []
    for step in steps {
      if step.hasPrefix("ring:"), groups.last?.first?.hasPrefix("ring:") == true {
        groups[groups.count - 1].append(step)
      } else {
        groups.append([step])
      }
    }
    for group in groups {
      var open = group
      while !open.isEmpty {
        guard at < events.count else { return open.joined(separator: ", ") }
        open.removeAll { shows($0, events[at], isFirstRing: !rungOnce, rename) }
        at += 1
      }
      if group == ["ring"] { rungOnce = true }
    }
    return nil
  }

  private static func shows(_ step: String, _ event: CallEvent, isFirstRing: Bool, _ rename: (String) -> String) -> Bool
  {
    let parts = step.split(separator: ":", maxSplits: 1).map(String.init)
    let subject = parts.count == 2 ? parts[1] : ""
    switch (parts[0], event.kind) {
    case ("ring", .ring): return subject.isEmpty && isFirstRing
    case ("ring", .legRinging(let leg)): return subject.isEmpty ? !isFirstRing : leg.party.id == rename(subject)
    case ("consult", .legRinging(let leg)): return leg.role == .consult && leg.party.id == rename(subject)
    case ("answered", .legAnswered(let leg)): return leg.party.id == rename(subject)
    case ("voicemail", .legAnswered(let leg)): return leg.party.kind == .voicemail
    case ("ringnoanswer", .legEnded(_, let reason)): return reason == "no_answer"
    case ("started", .started), ("ended", .ended): return true
    case ("held", .held(let by, .hold)), ("resumed", .resumed(let by, .hold)): return by?.id == rename(subject)
    case ("unbridged", .held(_, .bridge)), ("bridged", .resumed(_, .bridge)): return true
    case ("transferred", .transferred(.blind, let from, let to)),
      ("transferred", .transferred(.attended, let from, let to)),
      ("redirected", .transferred(.redirect, let from, let to)),
      ("forwarded", .transferred(.forward, let from, let to)):
      return "\(from?.id ?? "")>\(to?.id ?? "")"
        == subject.split(separator: ">").map { rename(String($0)) }.joined(separator: ">")
    case ("parked", .parked(let slot, _)): return slot == rename(subject)
    case ("retrieved", .retrieved(_, "retrieved", let by)): return by?.id == rename(subject)
    case ("park-giveup", .retrieved(_, "gave_up", _)): return true
    case ("queued", .queued(let queue, _)): return queue == rename(subject)
    case ("abandoned", .dequeued(_, _, "abandoned")): return true
    case ("dequeued", .dequeued(_, _, let reason)): return reason == subject
    case ("record-start", .recording(.started, _, _)), ("record-stop", .recording(.completed, _, _)),
      ("record-paused", .recording(.paused, _, _)),
      ("record-resumed", .recording(.resumed, _, _)):
      return true
    // The link's end belongs to no call; the call's own end is what is asserted of it.
    case ("link-lost", .ended): return true
    default: return false
    }
  }
}
