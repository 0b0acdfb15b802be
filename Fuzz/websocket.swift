// Two ways of cutting the same bytes must give the same messages, or the same refusal.

private func read(_ pieces: [ArraySlice<UInt8>], _ role: WebSocketRole) -> String {
  var decoder = WebSocketDecoder(role: role, messageLimit: 4096)
  var seen = ""
  do {
    for piece in pieces {
      decoder.feed(piece)
      while let message = try decoder.next() { seen += "\(message)\n" }
    }
  } catch { seen += "refused \(error.code)" }
  return seen
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
  guard size > 1 else { return 0 }
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  let role: WebSocketRole = bytes[0] & 1 == 0 ? .server : .client
  let body = bytes[1...]
  let cut = body.startIndex + Int(bytes[0]) * body.count / 256
  precondition(read([body], role) == read([body[..<cut], body[cut...]], role), "a cut changes the meaning")
  return 0
}
