// What happened, in the vocabulary that everything above the normaliser speaks: a closed set (docs/events.md).

package import Basics

package struct CallEvent: Hashable, Sendable {
  package var id: EventID
  /// `sidetone://pbx.example/asterisk`.
  package var source: String
  package var tenant: TenantID
  package var occurredAt: Timestamp
  package var kind: Kind
  /// The call as it is after this event; nil for events that belong to no call.
  package var call: Call?
  /// Not seen but concluded, from a snapshot or from silence.
  package var isInferred: Bool

  package init(
    id: EventID, source: String, tenant: TenantID = .standard, occurredAt: Timestamp, kind: Kind, call: Call?,
    isInferred: Bool = false
  ) {
    (self.id, self.source, self.tenant, self.occurredAt) = (id, source, tenant, occurredAt)
    (self.kind, self.call, self.isInferred) = (kind, call, isInferred)
  }

  package enum HoldKind: String, Sendable { case hold, bridge }
  package enum TransferKind: String, Sendable { case blind, attended, redirect, forward }
  package enum RecordingStep: String, Sendable { case started, paused, resumed, completed }

  package enum Kind: Hashable, Sendable {
    case ring
    case legRinging(Leg)
    case legAnswered(Leg)
    case legEnded(Leg, reason: String)
    case queued(queue: String, position: Int?)
    case dequeued(queue: String, waitSeconds: Double?, reason: String)
    case started
    case held(by: Party?, HoldKind)
    case resumed(by: Party?, HoldKind)
    case parked(slot: String, by: Party?)
    case retrieved(slot: String, reason: String, by: Party?)
    case transferred(TransferKind, from: Party?, to: Party?)
    case recording(RecordingStep, reference: String?, file: RecordingFile? = nil)
    case transcriptionCompleted(reference: String?)
    case updated
    case ended
    case voicemailReceived(Voicemail)
    case messageReceived(from: String, to: String, text: String)
    case messageSent(from: String, to: String, text: String)
    case agentStatus(queue: String, agent: String, status: String, isPaused: Bool)
    case extensionStatus(extension: String, status: String)
    case queueStatus(queue: String, waiting: Int)
    case linkUp
    case linkDown(reason: String)
    /// The link may have missed events between these instants.
    case linkGap(from: Timestamp, to: Timestamp)
    /// The agent's sign of life for its destinations; no subscriber is told.
    case heartbeat
  }
}

/// A recording as it lies on disk.
package struct RecordingFile: Hashable, Sendable {
  package let bytes: Int
  /// In hex.
  package let sha256: String

  package init(bytes: Int, sha256: String) { (self.bytes, self.sha256) = (bytes, sha256) }
}

/// A message in a mailbox; nil is what the PBX did not say.
package struct Voicemail: Hashable, Sendable {
  package var mailbox: String
  package var caller: String?
  /// Messages in the mailbox that nobody has heard yet.
  package var new: Int
  package var duration: Double?
  /// Names the recording at the PBX.
  package var reference: String?
  package var transcript: String?

  package init(
    mailbox: String, caller: String?, new: Int, duration: Double? = nil, reference: String? = nil,
    transcript: String? = nil
  ) {
    (self.mailbox, self.caller, self.new) = (mailbox, caller, new)
    (self.duration, self.reference, self.transcript) = (duration, reference, transcript)
  }
}

extension CallEvent.Kind {
  /// The CloudEvents type.
  package var type: String {
    switch self {
    case .ring: "call.ring"
    case .legRinging: "call.leg.ringing"
    case .legAnswered: "call.leg.answered"
    case .legEnded: "call.leg.ended"
    case .queued: "call.queued"
    case .dequeued: "call.dequeued"
    case .started: "call.started"
    case .held: "call.held"
    case .resumed: "call.resumed"
    case .parked: "call.parked"
    case .retrieved: "call.retrieved"
    case .transferred: "call.transferred"
    case .recording(let step, _, _): "call.recording.\(step.rawValue)"
    case .transcriptionCompleted: "call.transcription.completed"
    case .updated: "call.updated"
    case .ended: "call.ended"
    case .voicemailReceived: "voicemail.received"
    case .messageReceived: "message.received"
    case .messageSent: "message.sent"
    case .agentStatus: "agent.status"
    case .extensionStatus: "extension.status"
    case .queueStatus: "queue.status"
    case .linkUp: "link.up"
    case .linkDown: "link.down"
    case .linkGap: "link.gap"
    case .heartbeat: "sidetone.heartbeat"
    }
  }
}
