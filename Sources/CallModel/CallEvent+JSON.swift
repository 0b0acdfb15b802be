// What an event says beyond the call: the members beside `call` in its data.

internal import JSON

extension CallEvent {
  /// The members of `data` that are not the call, as one JSON object.
  package var detail: [UInt8] {
    var json = JSONWriter(capacity: 256)
    json.object { json in
      kind.writeDetail(to: &json)
      json.field("inferred", isInferred)
    }
    return json.bytes
  }
}

extension CallEvent.Kind {
  func writeDetail(to json: inout JSONWriter) {
    switch self {
    case .ring, .started, .updated, .ended, .linkUp, .heartbeat: break
    case .legRinging(let leg), .legAnswered(let leg): Self.write(leg, to: &json)
    case .legEnded(let leg, let reason):
      Self.write(leg, to: &json)
      json.field("reason", reason)
    case .queued(let queue, let position):
      json.field("queue", queue)
      json.field("position", position)
    case .dequeued(let queue, let wait, let reason):
      json.field("queue", queue)
      json.field("wait_seconds", wait)
      json.field("reason", reason)
    case .held(let by, let kind), .resumed(let by, let kind):
      json.field("by", by)
      json.field("kind", kind.rawValue)
    case .parked(let slot, let by):
      json.field("slot", slot)
      json.field("by", by)
    case .retrieved(let slot, let reason, let by):
      json.field("slot", slot)
      json.field("reason", reason)
      json.field("by", by)
    case .transferred(let kind, let from, let to):
      json.field("kind", kind.rawValue)
      json.field("from", from)
      json.field("to", to)
    case .recording(_, let reference, let file):
      json.field("reference", reference)
      if let file {
        json.field("bytes", file.bytes)
        json.field("sha256", file.sha256)
      }
    case .transcriptionCompleted(let reference): json.field("reference", reference)
    case .voicemailReceived(let voicemail):
      json.field("mailbox", voicemail.mailbox)
      json.field("caller", voicemail.caller)
      json.field("new_messages", voicemail.new)
      json.field("duration", voicemail.duration)
      json.field("reference", voicemail.reference)
      json.field("transcript", voicemail.transcript)
    case .messageReceived(let from, let to, let text), .messageSent(let from, let to, let text):
      json.field("from", from)
      json.field("to", to)
      json.field("text", text)
    case .agentStatus(let queue, let agent, let status, let isPaused):
      json.field("queue", queue)
      json.field("agent", agent)
      json.field("status", status)
      json.field("paused", isPaused)
    case .extensionStatus(let name, let status):
      json.field("extension", name)
      json.field("status", status)
    case .queueStatus(let queue, let waiting):
      json.field("queue", queue)
      json.field("waiting", waiting)
    case .linkDown(let reason): json.field("reason", reason)
    case .linkGap(let from, let to):
      json.field("from", from)
      json.field("to", to)
    }
  }

  private static func write(_ leg: Leg, to json: inout JSONWriter) {
    json.field("party", leg.party)
    json.field("role", leg.role.rawValue)
    json.key("leg")
    leg.write(to: &json)
  }
}
