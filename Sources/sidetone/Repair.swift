// sidetone repair, completion: what an update of the PBX wiped is put back; the shell learns our words.

internal import Basics
internal import Glibc
internal import Loop

/// What the installer put into the web server, and whether it is still there.
enum WebServerSnippet {
  static let manifest = "/etc/sidetone/install.manifest"
  /// The installer's own copy.
  static let original = "/etc/sidetone/nginx.conf"

  enum State { case notInstalled, intact, missing, changed }

  /// Where it belongs; nil when the installer put none.
  static var place: String? {
    guard let bytes = try? Files.read(manifest, limit: 1 << 20) else { return nil }
    let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("snippet ") }
    return line.map { String($0.dropFirst("snippet ".count)) }
  }

  static var state: State {
    guard let place, let wanted = try? Files.read(original, limit: 1 << 20) else { return .notInstalled }
    guard let found = try? Files.read(place, limit: 1 << 20) else { return .missing }
    return found == wanted ? .intact : .changed
  }
}

extension Sidetone {
  static let repair = Command(
    name: "repair", summary: "put back what an update of the PBX wiped: the web server's snippet", usage: "repair",
    options: []
  ) { _ in
    guard let place = WebServerSnippet.place, WebServerSnippet.state != .notInstalled else {
      Files.print("nothing was installed into the web server", to: 2)
      return Exit.ok
    }
    guard WebServerSnippet.state != .intact else {
      Files.print("\(place) is as it was installed", to: 2)
      return Exit.ok
    }
    guard system("nginx -t -q 2> /dev/null") == 0 else {
      Files.print("nginx -t fails already, before anything was touched; mend that first", to: 2)
      return Exit.broken
    }
    let before = try? Files.read(place, limit: 1 << 20)
    try put(place, try Files.read(WebServerSnippet.original, limit: 1 << 20))
    guard system("nginx -t -q") == 0 else {
      if let before { try put(place, before) } else { Files.remove(place) }
      Files.print("nginx does not take it; it is as before", to: 2)
      return Exit.broken
    }
    _ = system("systemctl reload nginx 2> /dev/null || nginx -s reload 2> /dev/null")
    Files.print("\(place) is back, and nginx has read it", to: 2)
    return Exit.ok
  }

  /// Readable for everybody, as the web server's files are.
  private static func put(_ path: String, _ bytes: [UInt8]) throws {
    try Files.writePrivate(path, bytes)
    chmod(path, 0o644)
  }

  static let completion = Command(
    name: "completion", summary: "print the completion of a shell", usage: "completion bash|zsh|fish", options: []
  ) { arguments in
    let shown = commands.filter { !$0.isHidden }
    let names = shown.map(\.name).joined(separator: " ")
    switch try arguments.operand(0, "bash, zsh or fish") {
    case "bash", "zsh":
      let isZsh = arguments.operands[0] == "zsh"
      let cases = shown.map { command in
        "    \(command.name)) words=\"\(options(command))\" ;;"
      }.joined(separator: "\n")
      let head = isZsh ? "autoload -U +X bashcompinit && bashcompinit\n" : ""
      Files.print(
        """
        \(head)_sidetone() {
          local words="\(names)" word="${COMP_WORDS[COMP_CWORD]}"
          if [ "$COMP_CWORD" -gt 1 ]; then
            case "${COMP_WORDS[1]}" in
        \(cases)
            esac
            case "${COMP_WORDS[COMP_CWORD-1]}" in --config|--*-file) COMPREPLY=($(compgen -f -- "$word")); return ;; esac
          fi
          COMPREPLY=($(compgen -W "$words" -- "$word"))
        }
        complete -F _sidetone sidetone
        """)
    case "fish":
      for command in shown {
        Files.print("complete -c sidetone -n __fish_use_subcommand -f -a \(command.name) -d '\(command.summary)'")
        for option in command.options {
          Files.print("complete -c sidetone -n '__fish_seen_subcommand_from \(command.name)' -l \(option.name)")
        }
      }
    default: throw UsageError(description: "expected bash, zsh or fish")
    }
    return Exit.ok
  }

  private static func options(_ command: Command) -> String {
    (command.options.map { "--" + $0.name } + ["--help"]).joined(separator: " ")
  }
}
