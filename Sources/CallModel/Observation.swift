// What a PBX said, without judgement: the facts about channels, bridges, queues and parking that the normaliser turns
// into the life of a call. Words are the trade's, not a vendor's; a source fills in what it was told.

package import Basics

/// A channel as one message described it. Empty text means the PBX did not say.
package struct ChannelFacts: Hashable, Sendable {
  package enum State: Int, Sendable {
    case down = 0
    case reserved, offHook, dialing, ring, ringing, up, busy, dialingOffHook, preRing
  }

  /// Constant for the channel's life; for Asterisk its Uniqueid.
  package var id: String
  /// The oldest channel known to be involved; changes without notice (Asterisk's Linkedid).
  package var group: String
  /// How commands address it. May be renamed.
  package var name: String
  package var state: State
  package var number: String
  package var callerName: String
  package var connectedNumber: String
  package var context: String
  package var exten: String

  package init(
    id: String, group: String, name: String, state: State = .down, number: String = "", callerName: String = "",
    connectedNumber: String = "", context: String = "", exten: String = ""
  ) {
    (self.id, self.group, self.name, self.state, self.number) = (id, group, name, state, number)
    (self.callerName, self.connectedNumber, self.context, self.exten) = (callerName, connectedNumber, context, exten)
  }
}

package struct BridgeFacts: Hashable, Sendable {
  package enum Kind: Sendable {
    /// Joins the people of one call.
    case talk
    /// Holds a channel with music: parking.
    case holding
    /// A conference room.
    case conference
    /// Belongs to an application that decides who is in it.
    case application
  }

  package var id: String
  package var kind: Kind
  package var name: String

  package init(id: String, kind: Kind, name: String = "") { (self.id, self.kind, self.name) = (id, kind, name) }
}

package struct ParkingFacts: Hashable, Sendable {
  package var slot: String
  package var lot: String
  package init(slot: String, lot: String) { (self.slot, self.lot) = (slot, lot) }
}

package struct Observation: Hashable, Sendable {
  /// The PBX's own time where it gives one, else when it was read.
  package var at: Timestamp
  package var fact: Fact

  package init(at: Timestamp, _ fact: Fact) { (self.at, self.fact) = (at, fact) }

  package enum Fact: Hashable, Sendable {
    // The link.
    /// Logged in and told everything from here on. `epoch` names the PBX's run, where it is known.
    case linkUp(epoch: String?)
    case linkDown(reason: String)
    /// The PBX says that it stops; no call outlives it.
    case shutdown
    /// The PBX is asked for all there is; channels that are neither listed nor heard of until the end are gone.
    case snapshotBegan
    /// Entries of a snapshot, in any order.
    case snapshotChannel(ChannelFacts, dialled: String, application: String, data: String, bridge: String?)
    case snapshotBridge(BridgeFacts)
    case snapshotQueued(channel: String, queue: String, position: Int?)
    case snapshotParked(ChannelFacts, ParkingFacts)
    case snapshotEnded
    /// What follows, until the opposite, was concluded from a comparison with what is: it is told as inferred.
    case inferring(Bool)
    /// The channel is no more; how it ended was not seen.
    case vanished(id: String)
    /// The PBX's start, learnt after `linkUp`.
    case epoch(String)

    // Channels.
    case channel(ChannelFacts)
    case connectedLine(ChannelFacts)
    case renamed(id: String, name: String)
    case dialBegan(from: ChannelFacts?, to: ChannelFacts, dialled: String)
    case dialProgress(to: ChannelFacts, status: String)
    case dialEnded(from: ChannelFacts?, to: ChannelFacts, status: String, forward: String?)
    case hangupRequested(ChannelFacts, cause: Int?)
    /// The PBX itself asked; no evidence of who ended the call.
    case hangupRequestedByPBX(ChannelFacts)
    case hungUp(ChannelFacts, cause: Int)
    case application(ChannelFacts, name: String, data: String)
    /// What runs on a channel now, as an answer to a question: it may have run for a while.
    case applicationFound(ChannelFacts, name: String, data: String)
    case held(ChannelFacts)
    case unheld(ChannelFacts)
    case localPair(one: ChannelFacts, two: ChannelFacts)

    // Bridges.
    case bridgeEntered(ChannelFacts, BridgeFacts)
    case bridgeLeft(ChannelFacts, BridgeFacts)
    case bridgeMerged(from: String, to: String)
    case blindTransfer(from: ChannelFacts, transferee: ChannelFacts?, to: String, succeeded: Bool)
    case attendedTransfer(
      first: ChannelFacts, second: ChannelFacts, transferee: ChannelFacts?, target: ChannelFacts?, succeeded: Bool)

    /// Somebody answered at his own telephone what rang at `target`.
    case pickedUp(by: ChannelFacts, target: ChannelFacts)

    // Parking.
    case parked(ChannelFacts, ParkingFacts)
    case unparked(ChannelFacts, ParkingFacts, by: ChannelFacts?)
    case parkTimedOut(ChannelFacts, ParkingFacts)
    case parkGivenUp(ChannelFacts, ParkingFacts)

    // Queues and agents.
    case queueJoined(ChannelFacts, queue: String, position: Int?)
    case queueLeft(ChannelFacts, queue: String)
    case queueAbandoned(ChannelFacts, queue: String, waitSeconds: Int?)
    case agentCalled(caller: ChannelFacts, agent: ChannelFacts, queue: String)
    case agentConnected(caller: ChannelFacts, agent: ChannelFacts, queue: String, waitSeconds: Int?)
    case agentRingNoAnswer(caller: ChannelFacts, agent: ChannelFacts, queue: String)
    case agentState(queue: String, agent: String, status: String, isPaused: Bool)

    // The rest.
    case recording(ChannelFacts, CallEvent.RecordingStep, reference: String?)
    case mailbox(String, new: Int, by: ChannelFacts?)
    case extensionState(exten: String, device: String, status: String)
    /// A channel that was asked for with this id was never made.
    case originateFailed(id: String, channel: String)
    /// We tell the PBX to hang this call up, so that nobody in it did; or it refused, and whoever ends it will have.
    case hangUpCommanded(CallID, isRefused: Bool)
    /// We tell the PBX to hold this call, or it refused: its people leave their bridge for that, wherever they go.
    case holdCommanded(CallID, isRefused: Bool)
    /// We told the PBX to join two legs; `by` had both on the line and hands one over to the other.
    case joinCommanded(leg: String, with: String, by: Party)
    /// Some other event of a kind that only an unfiltered account is sent: proof that nothing is hidden from us.
    case unfilteredWitness
  }
}
