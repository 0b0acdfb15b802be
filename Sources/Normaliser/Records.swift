// What the switchboard remembers of a channel and of a call, beyond what it tells.

internal import Basics
internal import CallModel

/// One channel of the PBX, a party's or a helper's.
struct LegRecord {
  enum Origin {
    /// Came to the PBX by itself: a phone that dialled, a trunk that rang in.
    case caller
    /// Was dialled by the PBX on behalf of a call.
    case called
    /// Was dialled by the PBX on an application's command, before there was a caller.
    case originated
  }

  enum Outcome {
    case none, busy, declined, noAnswer, cancelled, answeredElsewhere, rejected, unreachable, unknownNumber
  }

  let id: String
  let birth: ChannelFacts
  let bornAt: Timestamp
  var facts: ChannelFacts
  var call: Int
  var origin: Origin
  var role: LegRole
  var dialler: String?
  var dialled = ""
  var application: (name: String, data: String)?
  var upAt: Timestamp?
  var ringingAt: Timestamp?
  var connectedAt: Timestamp?
  var endedAt: Timestamp?
  var endReason: String?
  var dialStatus: String?
  var outcome = Outcome.none
  /// Somebody took the call at another telephone while it rang here.
  var wasPickedUp = false
  /// Its own far end asked to hang up.
  var askedToHangUp = false
  var bridge: String?
  var entryPlace = ""
  /// A transfer that was announced moves it; leaving its bridge means nothing more.
  var isBeingMoved = false
  /// Somebody sent it elsewhere in the dialplan, past its bridge.
  var redirectedTo: String?
  /// A command of ours takes it out of its bridge, to wait.
  var isSentToWait = false
  /// Its far end asked to hang up while somebody was being tried for it, or nobody was.
  var gaveUp = false
  var isHolding = false
  var wasToldRinging = false
  var wasToldAnswered = false
  /// Of which connection to the PBX it was last heard, and whether that one's snapshot lists it.
  var generation: Int
  var isListed = false

  /// `Local/…;1`: two halves that join two stretches of dialplan; never a party.
  var isLocal: Bool { facts.name.hasPrefix("Local/") }
  /// A line of the PBX that an application answers.
  var isApplication: Bool { facts.name.hasPrefix("Application/") }
  var isLive: Bool { endedAt == nil }
  var isUp: Bool { facts.state == .up }
  var place: String { facts.context + "," + facts.exten }

  /// `PJSIP/pstn-a-0000002a` is the endpoint `pstn-a`: only the last dash begins the serial number.
  var endpoint: String {
    let name = birth.name
    guard let slash = name.utf8.firstIndex(of: UInt8(ascii: "/")) else { return "" }
    return String(name[name.utf8.index(after: slash)..<endOfDevice(from: slash)])
  }

  /// With its technology: `PJSIP/pstn-a`.
  var device: String {
    let name = birth.name
    guard let slash = name.utf8.firstIndex(of: UInt8(ascii: "/")) else { return name + "/" }
    return String(name[..<endOfDevice(from: slash)])
  }

  private func endOfDevice(from slash: String.Index) -> String.Index {
    birth.name.utf8[slash...].lastIndex(of: UInt8(ascii: "-")) ?? birth.name.endIndex
  }
}

struct CallRecord {
  let key: Int
  /// The channel group the call was first known by.
  let nativeKey: String
  var call: Call
  var legIDs: [String] = []
  /// Machines that took the call: they have no channel of their own.
  var services: [Leg] = []
  /// Events told so far: the ordinal that makes their identifiers.
  var ordinal = 0
  var hasRung = false
  var isStarted = false
  var callerLeg: String?
  /// The leg whose far end asked to end the present conversation.
  var endRequester: String?
  var queue: (name: String, since: Timestamp)?
  var wasAbandoned = false
  var isBridgeHeld = false
  var parking: (leg: String, slot: String)?
  var pendingPark: (leg: String, facts: ParkingFacts)?
  var recordings: [String: String?] = [:]
  /// A mailbox that changed when the caller left: who took the call, where the application was not told.
  var mailbox: String?
  var firstRingAt: Timestamp?
  /// The PBX or the link to it went away and took the call along: which.
  var unseenEnd: String?
  var wasPickedUp = false
  /// An application told the PBX to hang it up.
  var isHungUpByCommand = false
  /// It was under way when we came: how long it rang and talked is not known.
  var timesAreUnknown = false

  var isTold: Bool { ordinal > 0 }
}
