// Manager actions on the simulated PBX. Sentences are Asterisk 22's (Fixtures/asterisk/protocol-errors, originate-failures).

internal import Basics
internal import Loop

extension SimulatedPBX {
  private static let actions = [
    "Originate", "Hangup", "Redirect", "BlindTransfer", "Atxfer", "Bridge", "Park", "CoreShowChannels", "CoreStatus",
    "Status", "Getvar", "Parkinglots", "BridgeList", "QueueStatus", "ParkedCalls", "DeviceStateList",
    "ExtensionStateList", "ListCommands",
    "Ping",
    "Login", "Logoff", "Challenge", "Events",
  ]

  func perform(_ request: AMIRequest, for session: AMIServerSession) {
    switch request.action {
    case "corestatus": session.succeed(request, status)
    case "listcommands": session.succeed(request, Self.actions.map { ($0, "(Priv: <none>)") })
    case "coreshowchannels":
      session.list(request, channelItems("CoreShowChannel"), complete: "CoreShowChannelsComplete")
    case "status": session.list(request, channelItems("Status", only: request["channel"]), complete: "StatusComplete")
    case "bridgelist":
      session.list(
        request, bridges.keys.sorted().map { [("Event", "BridgeListItem")] + bridgeLines($0) },
        complete: "BridgeListComplete")
    case "queuestatus": session.list(request, queueItems, complete: "QueueStatusComplete")
    case "parkedcalls": session.list(request, parkedItems, complete: "ParkedCallsComplete")
    case "devicestatelist": session.list(request, [], complete: "DeviceStateListComplete")
    case "extensionstatelist": session.list(request, [], complete: "ExtensionStateListComplete")
    case "getvar": session.succeed(request, [("Variable", request["variable"] ?? ""), ("Value", exists(request))])
    case "parkinglots":
      let lot = [("Event", "Parkinglot"), ("Name", "default"), ("StartSpace", "701"), ("StopSpace", "720")]
      session.list(request, [lot], complete: "ParkinglotsComplete")
    case "originate": originate(request, session)
    case "hangup": hangup(request, session)
    case "blindtransfer": transfer(request, session)
    case "atxfer": consult(request, session)
    case "redirect": redirect(request, session)
    case "bridge": bridge(request, session)
    case "park": park(request, session)
    default:
      session.fail(
        request, "Invalid/unknown command: \(request.action). Use Action: ListCommands to show available commands.")
    }
  }

  // MARK: Lists

  private var status: [(String, String)] {
    let text = startedAt.description
    return [
      ("CoreStartupDate", String(text.prefix(10))), ("CoreStartupTime", String(text.dropFirst(11).prefix(8))),
      ("CoreCurrentCalls", String(channels.count / 2)),
    ]
  }

  private func channelItems(_ event: String, only name: String? = nil) -> [[(String, String)]] {
    channels.values.filter { name == nil || $0.name == name }.sorted { $0.bornAt < $1.bornAt }.map { channel in
      let isLong = event == "Status"
      let seconds = Int((Moment.now() - channel.bornAt).seconds)
      return [("Event", event)] + block(channel) + [
        (isLong ? "BridgeID" : "BridgeId", channel.bridge ?? ""),
        ("Application", channel.application.isEmpty ? "Dial" : channel.application),
        (isLong ? "Data" : "ApplicationData", ""),
        isLong ? ("Seconds", String(seconds)) : ("Duration", "00:00:\(seconds % 60)"),
      ]
    }
  }

  private var queueItems: [[(String, String)]] {
    [[("Event", "QueueParams"), ("Queue", "sales"), ("Calls", String(waiting.count))]]
      + waiting.enumerated().compactMap { index, entry in
        channels[entry.channel].map {
          [
            ("Event", "QueueEntry"), ("Queue", entry.queue), ("Position", String(index + 1)), ("Channel", $0.name),
            ("Uniqueid", $0.uniqueid),
          ]
        }
      }
  }

  private var parkedItems: [[(String, String)]] {
    parked.compactMap { entry in
      channels[entry.channel].map {
        [("Event", "ParkedCall")] + block($0, "Parkee") + [("Parkinglot", "default"), ("ParkingSpace", entry.slot)]
      }
    }
  }

  /// `DIALPLAN_EXISTS(context,exten,1)`: every number can be dialled here, and no word.
  private func exists(_ request: AMIRequest) -> String {
    let exten = (request["variable"] ?? "").split(separator: ",").dropFirst().first
    return exten?.first?.isNumber == true ? "1" : "0"
  }

  // MARK: Acting

  private func find(_ name: String?) -> Channel? { channels.values.first { $0.name == name } }

  private func peer(of id: String) -> String? { channels[id]?.bridge.flatMap { bridges[$0] }?.first { $0 != id } }

  private func originate(_ request: AMIRequest, _ session: AMIServerSession) {
    guard let device = request["channel"] else { return session.fail(request, "Channel not specified") }
    guard let exten = request["exten"], exten.first?.isNumber == true else {
      return session.fail(request, "Extension does not exist.")
    }
    session.succeed(request, [("Message", "Originate successfully queued")])
    let endpoint = String(device.drop { $0 != "/" }.dropFirst())
    let first = create(endpoint, state: 0, number: endpoint, name: "", exten: "s", id: request["channelid"])
    beginDial(nil, first, endpoint)
    after(0.1) { [self] in ring(nil, first) }
    after(0.5) { [self] in
      guard channels[first] != nil else { return }
      setState(first, 6)
      endDial(nil, first, "ANSWER")
      move(first, context: request["context"] ?? "internal", exten: exten)
      let second = create(exten, state: 0, number: exten, name: "", exten: "s", linked: channels[first]?.linkedid)
      beginDial(first, second, exten)
      after(0.1) { [self] in ring(first, second) }
      after(0.6) { [self] in
        if exten != Self.unattended, channels[first] != nil, channels[second] != nil { answer(first, second) }
      }
    }
  }

  private func hangup(_ request: AMIRequest, _ session: AMIServerSession) {
    guard let channel = find(request["channel"]) else { return session.fail(request, "No such channel") }
    session.succeed(request, [("Message", "Channel Hungup")])
    let group = channels.values.filter { $0.linkedid == channel.linkedid }.map(\.uniqueid)
    for id in [channel.uniqueid] + group.filter({ $0 != channel.uniqueid }).sorted() { hangUp(id) }
  }

  private func transfer(_ request: AMIRequest, _ session: AMIServerSession) {
    guard let agent = find(request["channel"]), let customer = peer(of: agent.uniqueid), let exten = request["exten"]
    else {
      return session.fail(request, "Channel does not exist: \(request["channel"] ?? "")")
    }
    session.succeed(request, [("Message", "Transfer succeeded")])
    blindTransfer(agent.uniqueid, customer, to: exten)
  }

  private func consult(_ request: AMIRequest, _ session: AMIServerSession) {
    guard let agent = find(request["channel"]), agent.bridge != nil else {
      return session.fail(request, "Channel does not exist: \(request["channel"] ?? "")")
    }
    session.succeed(request, [("Message", "Atxfer successfully queued")])
    hold(agent.uniqueid, true)
  }

  private func redirect(_ request: AMIRequest, _ session: AMIServerSession) {
    guard let channel = find(request["channel"]) else {
      return session.fail(request, "Channel does not exist: \(request["channel"] ?? "")")
    }
    let extra = find(request["extrachannel"])
    if extra == nil, channel.bridge == nil { return divert(channel, request, session) }
    session.succeed(request, [("Message", extra == nil ? "Redirect successful" : "Dual Redirect successful")])
    move(channel.uniqueid, context: request["context"] ?? "", exten: request["exten"] ?? "")
    if let extra { move(extra.uniqueid, context: request["extracontext"] ?? "", exten: request["extraexten"] ?? "") }
    let left = peer(of: channel.uniqueid)
    leave(channel.uniqueid)
    if let left {
      leave(left)
      if extra == nil { hangUp(left) }
    }
  }

  private func divert(_ caller: Channel, _ request: AMIRequest, _ session: AMIServerSession) {
    session.succeed(request, [("Message", "Redirect successful")])
    let ringing = channels.values.filter {
      $0.linkedid == caller.linkedid && $0.uniqueid != caller.uniqueid && $0.bridge == nil
    }
    for callee in ringing {
      endDial(caller.uniqueid, callee.uniqueid, "CANCEL")
      hangUp(callee.uniqueid)
    }
    dial(caller.uniqueid, to: request["exten"] ?? "")
  }

  private func bridge(_ request: AMIRequest, _ session: AMIServerSession) {
    guard let one = find(request["channel1"]), let two = find(request["channel2"]) else {
      return session.fail(request, "Channel1 does not exists: \(request["channel1"] ?? "")")
    }
    session.succeed(request, [("Message", "Channels have been bridged")])
    for channel in [one, two] { leave(channel.uniqueid) }
    join([one.uniqueid, two.uniqueid])
  }

  private func park(_ request: AMIRequest, _ session: AMIServerSession) {
    guard let channel = find(request["channel"]) else { return session.fail(request, "Channel does not exist.") }
    guard park(channel.uniqueid, slot: request["parkingspace"]) != nil else {
      return session.fail(request, "Park failure")
    }
    session.succeed(request, [("Message", "Park successful")])
  }
}
