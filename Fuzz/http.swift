// Two ways of cutting the same bytes must give the same requests, or the same refusal.

private func read(_ pieces: [ArraySlice<UInt8>]) -> String {
  var parser = HTTPParser()
  var seen = ""
  do {
    for piece in pieces {
      parser.feed(piece)
      while let event = try parser.next() {
        if case .request(let request) = event {
          seen += "\(request.method) \(request.path) \(request.headers) \(request.body)\n"
        }
      }
    }
  } catch { seen += "refused \(error.status)" }
  return seen
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  let cut = size > 0 ? Int(bytes[0]) * size / 256 : 0
  let (whole, parts) = (read([bytes[...]]), read([bytes[..<cut], bytes[cut...]]))
  precondition(whole == parts, "a cut changes the meaning")
  return 0
}
