// What can be wrong with an Asterisk link, and what to do about it.

package import Health

package enum AsteriskCondition {
  package static let unreachable = Condition(
    code: "asterisk-unreachable", title: "Asterisk cannot be reached", severity: .failure,
    remedy:
      "Check that Asterisk runs and that `enabled=yes`, `bindaddr` and `port` in manager.conf fit [asterisk] host and port."
  )
  package static let refused = Condition(
    code: "asterisk-login-refused", title: "Asterisk refused the login", severity: .failure,
    remedy:
      "Check the account's name, its secret, and that its permit lines allow this host; the reason stands in Asterisk's security log."
  )
  package static let inUse = Condition(
    code: "asterisk-account-in-use", title: "The manager account is in use", severity: .failure,
    remedy: "Give the agent an account of its own, or set `allowmultiplelogin=yes` in manager.conf.")
  package static let notAMI = Condition(
    code: "asterisk-not-ami", title: "Something else answers at this port", severity: .failure,
    remedy: "Set [asterisk] port to the manager port of Asterisk (5038), not to SIP, HTTP or the console.")
  package static let garbage = Condition(
    code: "asterisk-garbage", title: "Asterisk sends what is no AMI", severity: .failure,
    remedy: "See whether a proxy or another program stands between the agent and Asterisk.")
  package static let silent = Condition(
    code: "asterisk-silent", title: "Asterisk stopped answering", severity: .failure,
    remedy: "The connection was closed and is tried again; if this stays, look at Asterisk's load and at the network.")
  package static let noPermission = Condition(
    code: "asterisk-no-permission", title: "The manager account may not see all it should", severity: .warning,
    remedy:
      "Set `read=system,call,agent,user` and `write=call,agent,reporting,originate` for the account in manager.conf, and reconnect."
  )

  package static let unanswered = Condition(
    code: "asterisk-unanswered", title: "Asterisk tells events and answers nothing", severity: .warning,
    remedy:
      "Calls that were open before the link are unknown and commands will fail: look at Asterisk's load, and at what stands between it and the agent."
  )

  static let ofLink = [unreachable, refused, inUse, notAMI, garbage, silent, unanswered]
}
