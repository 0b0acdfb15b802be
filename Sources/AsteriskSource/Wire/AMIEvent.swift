// The events that are read, by their names on the wire.

internal import Basics

enum AMIEvent: String, CaseIterable {
  case newchannel, newstate, newCallerid, newConnectedLine, dialBegin, dialState, dialEnd, hangupRequest,
    softHangupRequest, hangup, newexten, hold, unhold, rename, localBridge, bridgeEnter, bridgeLeave,
    bridgeMerge, blindTransfer, attendedTransfer, pickup, parkedCall, unParkedCall, parkedCallTimeOut, parkedCallGiveUp,
    queueCallerJoin, queueCallerLeave, queueCallerAbandon, agentCalled, agentConnect, agentRingNoAnswer,
    queueMemberStatus, queueMemberPause, mixMonitorStart, mixMonitorStop, mixMonitorMute, messageWaiting,
    extensionStatus, originateResponse, fullyBooted, shutdown, coreShowChannel, coreShowChannelsComplete,
    status, bridgeListItem, queueEntry
  /// Of no use by itself, but never sent to an account whose filter names the events it wants.
  case witness

  private static let byName: [String: AMIEvent] = {
    var names = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue.asciiLowercased, $0) })
    for name in ["varset", "cdr", "bridgecreate", "bridgedestroy", "musiconholdstart", "musiconholdstop"] {
      names[name] = .witness
    }
    return names
  }()

  init?(_ name: String) {
    guard let event = Self.byName[name.asciiLowercased] else { return nil }
    self = event
  }
}

enum AMIText {
  /// Undoes the C escapes that Asterisk puts into names (`\"`, `\'`, `\\`, `\n` …).
  static func unescaped(_ text: String) -> String {
    guard text.utf8.contains(92) else { return text }
    var out: [UInt8] = []
    var isEscaped = false
    for byte in text.utf8 {
      guard isEscaped || byte == 92 else {
        out.append(byte)
        continue
      }
      if isEscaped { out.append(plain(byte)) }
      isEscaped.toggle()
    }
    return String(decoding: out, as: UTF8.self)
  }

  private static func plain(_ byte: UInt8) -> UInt8 {
    switch byte {
    case UInt8(ascii: "n"): 10
    case UInt8(ascii: "r"): 13
    case UInt8(ascii: "t"): 9
    default: byte
    }
  }

  /// Asterisk's device states by number (devicestate.h of 22).
  static func deviceState(_ number: Int) -> String {
    let names = ["unknown", "idle", "in_use", "busy", "invalid", "unavailable", "ringing", "ringing_in_use", "on_hold"]
    return names.indices.contains(number) ? names[number] : "unknown"
  }
}
