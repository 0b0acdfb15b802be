// The [asterisk] section.

package import Basics
package import Config

package struct AsteriskSourceConfig: Sendable {
  package var host = "127.0.0.1"
  package var port = 5038
  package var username = ""
  package var secret: Secret<String>?
  /// A dialplan context that plays music at `s,1` and silence at `wait,1`; without it hold is refused.
  package var holdContext: String?
  /// Where originated and transferred calls enter the dialplan.
  package var dialContext = "from-internal"
  /// `PJSIP/{}`: how an extension's device is named.
  package var deviceTemplate = "PJSIP/{}"
  package var md5Login = true

  package init() {}

  package init(reading reader: inout ConfigReader) {
    host = reader.text("asterisk", "host", default: host)
    port = reader.number("asterisk", "port", default: port, in: 1...65_535)
    username = reader.text("asterisk", "username", default: "")
    secret = reader.secret("asterisk", "secret")
    holdContext = reader.optionalText("asterisk", "hold_context")
    dialContext = reader.text("asterisk", "dial_context", default: dialContext)
    deviceTemplate = reader.text("asterisk", "device_template", default: deviceTemplate)
    md5Login = reader.flag("asterisk", "md5_login", default: true)
    guard !username.isEmpty else { return }
    if secret == nil { reader.fault("asterisk", "secret_file", "needed, since username is set") }
    if !deviceTemplate.contains("{}") {
      reader.fault("asterisk", "device_template", "expected {} where the extension goes")
    }
  }

  /// Off until an account is named.
  package var isOn: Bool { !username.isEmpty }
}
