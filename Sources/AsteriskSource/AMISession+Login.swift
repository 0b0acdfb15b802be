// From the banner to the first right that is used.

internal import Basics
internal import CallModel
internal import Crypto

extension AMISession {
  mutating func greet() {
    if config.md5Login {
      phase = .challenge
      ask(AMIAction("Challenge", [("AuthType", "MD5")]), .challenge)
    } else {
      logIn([("Secret", config.secret?.reveal() ?? "")])
    }
  }

  /// Only the classes that are needed: `dialplan` and the rest are two thirds of all bytes, and `dtmf` shows PINs.
  mutating func logIn(_ proof: [(String, String)]) {
    phase = .login
    let mask = [("Events", "system,call,agent,user")]
    ask(AMIAction("Login", [("Username", config.username)] + proof + mask), .login)
  }

  mutating func challenged(_ response: AMIResponse) {
    guard response.isSuccess, let challenge = response["Challenge"] else {
      return logIn([("Secret", config.secret?.reveal() ?? "")])
    }
    let key = Hex.encode(Digest.md5(Array((challenge + (config.secret?.reveal() ?? "")).utf8)))
    logIn([("AuthType", "MD5"), ("Key", key)])
  }

  mutating func loggedIn(_ response: AMIResponse) {
    guard response.isSuccess else {
      let isInUse = response.message.contains("In Use")
      return effects.append(.end(isInUse ? .accountInUse : .refused(response.message)))
    }
    phase = .boot(until: now + .seconds(10))
    effects.append(.up)
    effects.append(.observe(Observation(at: time, .linkUp(epoch: nil))))
  }
}
