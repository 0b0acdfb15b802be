// What can be wrong with a 3CX link, and what to do about it.

internal import HTTPClient
package import Health

package enum ThreeCXCondition {
  package static let unreachable = Condition(
    code: "threecx-unreachable", title: "The 3CX does not answer", severity: .failure,
    remedy:
      "Check that the 3CX services run and that [threecx] url has the web server's name and port; on the PBX itself set connect_to = 127.0.0.1:PORT."
  )
  package static let certificate = Condition(
    code: "threecx-certificate", title: "The 3CX's certificate cannot be trusted", severity: .failure,
    remedy:
      "Set [threecx] url to the name the certificate is for (the FQDN of the PBX) and connect_to to its address; for a private authority set ca_file."
  )
  package static let credentials = Condition(
    code: "threecx-credentials", title: "The 3CX refuses the client id or its key", severity: .failure,
    remedy:
      "Compare [threecx] client_id and client_secret_file with Admin console → Integrations → API; a key is shown once, make a new one when in doubt."
  )
  package static let noTokens = Condition(
    code: "threecx-no-tokens", title: "The 3CX gives out no tokens", severity: .failure,
    remedy:
      "Check that [threecx] url is the 3CX's own web server and that the licence is Enterprise (8SC+): other licences have no API."
  )
  package static let contested = Condition(
    code: "threecx-token-contested", title: "Somebody else uses this client id", severity: .warning,
    remedy:
      "A 3CX keeps one token a client valid, so two programs knock each other out: give the agent a client id of its own."
  )
  package static let noCallControl = Condition(
    code: "threecx-no-call-control", title: "Call Control is not allowed", severity: .failure,
    remedy:
      "Tick “Call Control access” for the client in Admin console → Integrations → API and list the extensions to monitor; it needs an Enterprise licence."
  )
  package static let listOnly = Condition(
    code: "threecx-list-only", title: "Calls are read from a list, not as they happen", severity: .warning,
    remedy:
      "Tick “Call Control access” for the client in Admin console → Integrations → API and list the extensions to monitor."
  )
  package static let forbidden = Condition(
    code: "threecx-forbidden", title: "The client may not read all it should", severity: .warning,
    remedy: "Give the client the role System Owner in Admin console → Integrations → API, and tick “XAPI access”.")
  package static let silent = Condition(
    code: "threecx-silent", title: "The 3CX stopped answering", severity: .failure,
    remedy: "The connection was closed and is tried again; if this stays, look at the 3CX's load.")
  package static let noLibrary = Condition(
    code: "threecx-no-libcurl", title: "libcurl is missing on this host", severity: .failure,
    remedy: "Install the package libcurl4; every 3CX host has it.")
  package static let clock = Condition(
    code: "threecx-clock", title: "This host's clock and the 3CX's differ", severity: .warning,
    remedy: "Set the clock of this host (timedatectl set-ntp true).")

  static let ofLink = [
    unreachable, certificate, credentials, noTokens, noCallControl, listOnly, silent, noLibrary,
  ]

  /// What a failure means for the link.
  static func of(_ fault: ThreeCXFault) -> Condition {
    switch fault {
    case .client(let failure):
      switch failure.kind {
      case .certificate: certificate
      case .noLibrary: noLibrary
      default: unreachable
      }
    case .refused: credentials
    case .noTokens: noTokens
    case .status(403, _, _), .status(401, _, _): noCallControl
    case .status, .garbage: unreachable
    }
  }
}
