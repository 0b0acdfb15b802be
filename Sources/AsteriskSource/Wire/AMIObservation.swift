// AMI messages as observations. Event and field names as Asterisk 22.10.1 sends them
// (https://docs.asterisk.org, AMI events; Fixtures/asterisk), matched without case since releases differ.

package import Basics
package import CallModel

extension AMIDecoder {
  /// What the message at hand says, or nil for a response or an event nobody needs.
  /// - Parameter now: when it was read; used where the event carries no `Timestamp`.
  package func observation(at now: Timestamp) -> Observation? {
    guard let event = value("Event"), let kind = AMIEvent(event) else { return nil }
    return fact(kind).map { Observation(at: time(or: now), $0) }
  }

  /// `Timestamp: epoch.micro`, present on events where manager.conf has `timestampevents=yes`.
  private func time(or now: Timestamp) -> Timestamp {
    guard let text = value("Timestamp"), let seconds = Double(text), seconds > 1e9 else { return now }
    return Timestamp(seconds: seconds)
  }

  private func fact(_ event: AMIEvent) -> Observation.Fact? {
    switch event {
    case .newchannel, .newstate: channel().map { .channel($0) }
    case .newCallerid, .newConnectedLine: channel().map { .connectedLine($0) }
    case .dialBegin, .dialState, .dialEnd: dial(event)
    case .hangupRequest: channel().map { .hangupRequested($0, cause: number("Cause")) }
    case .softHangupRequest: channel().map { .hangupRequestedByPBX($0) }
    case .hangup: channel().map { .hungUp($0, cause: number("Cause") ?? 0) }
    case .newexten: channel().map { .application($0, name: known("Application"), data: known("AppData")) }
    case .hold: channel().map { .held($0) }
    case .unhold: channel().map { .unheld($0) }
    case .rename: value("Uniqueid").map { .renamed(id: $0, name: known("Newname")) }
    case .localBridge: localPair()
    case .bridgeEnter, .bridgeLeave, .bridgeMerge: bridge(event)
    case .blindTransfer, .attendedTransfer: transfer(event)
    case .pickup: pickup()
    case .parkedCall, .unParkedCall, .parkedCallTimeOut, .parkedCallGiveUp: parking(event)
    case .queueCallerJoin, .queueCallerLeave, .queueCallerAbandon, .agentCalled, .agentConnect, .agentRingNoAnswer,
      .queueMemberStatus, .queueMemberPause:
      queue(event)
    case .mixMonitorStart, .mixMonitorStop, .mixMonitorMute: recording(event)
    case .messageWaiting: .mailbox(known("Mailbox"), new: number("New") ?? 0, by: channel())
    case .extensionStatus: .extensionState(exten: known("Exten"), device: known("Hint"), status: known("StatusText"))
    case .originateResponse: originate()
    case .fullyBooted: .linkUp(epoch: nil)
    case .shutdown: .shutdown
    case .coreShowChannel, .status, .bridgeListItem, .queueEntry, .coreShowChannelsComplete: snapshot(event)
    case .witness: .unfilteredWitness
    }
  }

  // MARK: Blocks

  /// The channel block whose lines begin with `prefix` (`DestChannel`, `DestUniqueid` …); nil when there is none.
  private func channel(_ prefix: StaticString = "") -> ChannelFacts? {
    guard let id = value("Uniqueid", in: prefix), let name = value("Channel", in: prefix), !id.isEmpty else {
      return nil
    }
    let state = value("ChannelState", in: prefix).flatMap { Int($0) } ?? 0
    return ChannelFacts(
      id: id, group: known("Linkedid", in: prefix), name: name, state: ChannelFacts.State(rawValue: state) ?? .down,
      number: known("CallerIDNum", in: prefix), callerName: AMIText.unescaped(known("CallerIDName", in: prefix)),
      connectedNumber: known("ConnectedLineNum", in: prefix), context: known("Context", in: prefix),
      exten: known("Exten", in: prefix))
  }

  private func bridge(_ event: AMIEvent) -> Observation.Fact? {
    if event == .bridgeMerge { return .bridgeMerged(from: known("FromBridgeUniqueid"), to: known("ToBridgeUniqueid")) }
    guard let channel = channel(), let bridge = bridgeBlock() else { return nil }
    return event == .bridgeEnter ? .bridgeEntered(channel, bridge) : .bridgeLeft(channel, bridge)
  }

  private func bridgeBlock() -> BridgeFacts? {
    guard let id = value("BridgeUniqueid") else { return nil }
    return BridgeFacts(id: id, kind: bridgeKind(), name: known("BridgeName"))
  }

  private func bridgeKind() -> BridgeFacts.Kind {
    if matches("BridgeTechnology", "holding_bridge") { return .holding }
    switch known("BridgeCreator").asciiLowercased {
    case "confbridge", "meetme", "app_page", "page": return .conference
    case "stasis": return .application
    default: return .talk
    }
  }

  private func dial(_ event: AMIEvent) -> Observation.Fact? {
    guard let to = channel("Dest") else { return nil }
    let status = known("DialStatus")
    return switch event {
    case .dialBegin: .dialBegan(from: channel(), to: to, dialled: known("DialString"))
    case .dialState: .dialProgress(to: to, status: status)
    default: .dialEnded(from: channel(), to: to, status: status, forward: value("Forward"))
    }
  }

  private func localPair() -> Observation.Fact? {
    guard let one = channel("LocalOne"), let two = channel("LocalTwo") else { return nil }
    return .localPair(one: one, two: two)
  }

  private func transfer(_ event: AMIEvent) -> Observation.Fact? {
    let succeeded = matches("Result", "Success")
    if event == .blindTransfer {
      return channel("Transferer").map {
        .blindTransfer(from: $0, transferee: channel("Transferee"), to: known("Extension"), succeeded: succeeded)
      }
    }
    guard let first = channel("OrigTransferer"), let second = channel("SecondTransferer") else { return nil }
    // Whoever consulted stays with both.
    if matches("DestType", "Threeway") { return .unheld(first) }
    return .attendedTransfer(
      first: first, second: second, transferee: channel("Transferee"), target: channel("TransferTarget"),
      succeeded: succeeded && !matches("DestType", "Fail"))
  }

  private func pickup() -> Observation.Fact? {
    guard let by = channel(), let target = channel("Target") else { return nil }
    return .pickedUp(by: by, target: target)
  }

  private func parking(_ event: AMIEvent) -> Observation.Fact? {
    guard let parkee = channel("Parkee") else { return nil }
    let parking = ParkingFacts(slot: known("ParkingSpace"), lot: known("Parkinglot"))
    return switch event {
    // Items of the ParkedCalls list bear the event's name and an ActionID.
    case .parkedCall: has("ActionID") ? .snapshotParked(parkee, parking) : .parked(parkee, parking)
    case .unParkedCall: .unparked(parkee, parking, by: channel("Retriever"))
    case .parkedCallTimeOut: .parkTimedOut(parkee, parking)
    default: .parkGivenUp(parkee, parking)
    }
  }

  private func queue(_ event: AMIEvent) -> Observation.Fact? {
    let name = known("Queue")
    if event == .queueMemberStatus || event == .queueMemberPause {
      let status = AMIText.deviceState(number("Status") ?? 0)
      return .agentState(queue: name, agent: known("Interface"), status: status, isPaused: matches("Paused", "1"))
    }
    guard let caller = channel() else { return nil }
    let agent = channel("Dest")
    return switch event {
    case .queueCallerJoin: .queueJoined(caller, queue: name, position: number("Position"))
    case .queueCallerLeave: .queueLeft(caller, queue: name)
    case .queueCallerAbandon: .queueAbandoned(caller, queue: name, waitSeconds: number("HoldTime"))
    case .agentCalled: agent.map { .agentCalled(caller: caller, agent: $0, queue: name) }
    case .agentConnect:
      agent.map { .agentConnected(caller: caller, agent: $0, queue: name, waitSeconds: number("HoldTime")) }
    default: agent.map { .agentRingNoAnswer(caller: caller, agent: $0, queue: name) }
    }
  }

  private func recording(_ event: AMIEvent) -> Observation.Fact? {
    let step: CallEvent.RecordingStep =
      switch event {
      case .mixMonitorStart: .started
      case .mixMonitorStop: .completed
      default: matches("State", "1") ? .paused : .resumed
      }
    return channel().map { .recording($0, step, reference: value("MixMonitorID")) }
  }

  private func originate() -> Observation.Fact? {
    let id = known("Uniqueid")
    guard matches("Response", "Failure"), !id.isEmpty else { return nil }
    return .originateFailed(id: id, channel: known("Channel"))
  }

  // MARK: Snapshot lists

  private func snapshot(_ event: AMIEvent) -> Observation.Fact? {
    switch event {
    case .coreShowChannel:
      channel().map {
        let bridge = value("BridgeId").flatMap { $0.isEmpty ? nil : $0 }
        return .snapshotChannel(
          $0, dialled: "", application: known("Application"), data: known("ApplicationData"), bridge: bridge)
      }
    case .status:
      channel().map {
        let bridge = value("BridgeID").flatMap { $0.isEmpty ? nil : $0 }
        return .snapshotChannel(
          $0, dialled: known("DNID"), application: known("Application"), data: known("Data"), bridge: bridge)
      }
    case .bridgeListItem: bridgeBlock().map { .snapshotBridge($0) }
    case .queueEntry:
      value("Uniqueid").map { .snapshotQueued(channel: $0, queue: known("Queue"), position: number("Position")) }
    default: nil
    }
  }
}
