// What everybody may do to their own account: password, authenticator, key.

internal import Basics
internal import HTTP
internal import Identity
internal import JSON
internal import Loop

extension AdminRoutes {
  var ownAccountRoutes: [Route] {
    [
      route(
        "POST", "/password", "Change your own password; every session of yours ends", .signedIn,
        takes: AdminSchema.passwordChange, status: 204, changePassword),
      route(
        "POST", "/totp", "Propose a secret for an authenticator app", .signedIn, gives: AdminSchema.totp, proposeTOTP),
      route(
        "PUT", "/totp", "Turn the authenticator on with a code of the proposed secret", .signedIn,
        takes: AdminSchema.totpConfirmation, status: 204, confirmTOTP),
      route(
        "DELETE", "/totp", "Turn the authenticator off with a code", .signedIn, takes: AdminSchema.totpCode,
        status: 204, removeTOTP),
      route("GET", "/own-key", "Your own key, for programs of yours", .signedIn, gives: AdminSchema.ownKey, ownKey),
      route(
        "POST", "/own-key", "The next version of your own key; the one before ends", .signedIn, status: 201,
        gives: AdminSchema.ownKey, renewOwnKey),
    ]
  }

  private func changePassword(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (user, body) = (try me(context), try context.json())
    let (current, new) = (Secret(try text(body, "password")), Secret(try text(body, "new_password")))
    let visitor = visitor(context)
    try await Self.asking { () async throws(AccountError) in
      try await identity.accounts.changePassword(user, from: current, to: new, by: visitor)
    }
    return Self.empty
  }

  private func proposeTOTP(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let user = try me(context)
    let secret = TOTP.base32(identity.accounts.proposeTOTP().reveal())
    return Self.object { json in
      json.field("secret", secret)
      json.field("address", "otpauth://totp/Sidetone:\(user.username)?secret=\(secret)&issuer=Sidetone")
    }
  }

  private func confirmTOTP(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (user, body) = (try me(context), try context.json())
    guard user.totpSecret == nil else {
      throw APIError(409, "totp-on", "Turn the present authenticator off first, with a code of it.")
    }
    guard let secret = TOTP.secret(base32: try text(body, "secret")), secret.count >= 16 else {
      throw .badField("secret", "expected the proposed secret")
    }
    return try await setTOTP(user, Secret(secret), try text(body, "code"), context)
  }

  private func removeTOTP(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (user, body) = (try me(context), try context.json())
    return try await setTOTP(user, nil, try text(body, "code"), context)
  }

  private func setTOTP(_ user: StoredUser, _ secret: Secret<[UInt8]>?, _ code: String, _ context: RequestContext)
    async throws(APIError) -> HTTPReply
  {
    let visitor = visitor(context)
    try await Self.asking { () async throws(AccountError) in
      try await identity.accounts.setTOTP(user, secret, code: code, by: visitor)
    }
    return Self.empty
  }

  private func ownKey(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let user = try me(context)
    try mustBeSettled(user)
    if user.keyVersion == 0 { return try await renewOwnKey(context) }
    return Self.show(identity.keys.userKey(of: user), status: 200)
  }

  private func renewOwnKey(_ context: RequestContext) async throws(APIError) -> HTTPReply {
    let (user, visitor) = (try me(context), visitor(context))
    try mustBeSettled(user)
    try mayMakeKey(try caller(context))
    let key = try await Self.storing { try await identity.renewUserKey(user, by: visitor) }
    return Self.show(key, status: context.request.method == "POST" ? 201 : 200)
  }

  private func mustBeSettled(_ user: StoredUser) throws(APIError) {
    guard !user.mustChangePassword else {
      throw APIError(403, "password-change-needed", "Change your password first.")
    }
  }

  private static func show(_ key: Secret<String>, status: Int) -> HTTPReply {
    .response(.json(status: status) { json in json.object { $0.field("key", key.reveal()) } })
  }
}
