// The address of a PostgreSQL in the configuration: a URL without a password, which comes from a file.

package import Basics

package enum DatabaseAddress {
  /// What is wrong with it, or nil.
  package static func fault(in url: String) -> String? {
    if !url.hasPrefix("postgres://"), !url.hasPrefix("postgresql://") {
      return "expected postgres://user@host/database"
    }
    let authority = url.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first ?? ""
    let hasPassword = authority.lastIndex(of: "@").map { authority[..<$0].contains(":") } ?? false
    return hasPassword || url.contains("password=") ? "a password does not stand here; name a file for it" : nil
  }

  package static func complete(_ url: String, password: Secret<String>?) -> Secret<String> {
    guard let password else { return Secret(url) }
    return Secret(url + (url.contains("?") ? "&" : "?") + "password=" + password.reveal().percentEncoded)
  }
}
