#include "web.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "../../Web/admin/index.html"
};
static const unsigned char style_css[] = {
#embed "../../Web/admin/style.css"
};
static const unsigned char app_js[] = {
#embed "../../Web/admin/app.js"
};
static const unsigned char api_js[] = {
#embed "../../Web/admin/api.js"
};
static const unsigned char live_js[] = {
#embed "../../Web/admin/live.js"
};
static const unsigned char draw_js[] = {
#embed "../../Web/admin/draw.js"
};
static const unsigned char door_js[] = {
#embed "../../Web/admin/pages/door.js"
};
static const unsigned char dashboard_js[] = {
#embed "../../Web/admin/pages/dashboard.js"
};
static const unsigned char calls_js[] = {
#embed "../../Web/admin/pages/calls.js"
};
static const unsigned char destinations_js[] = {
#embed "../../Web/admin/pages/destinations.js"
};
static const unsigned char pbx_js[] = {
#embed "../../Web/admin/pages/pbx.js"
};
static const unsigned char keys_js[] = {
#embed "../../Web/admin/pages/keys.js"
};
static const unsigned char users_js[] = {
#embed "../../Web/admin/pages/users.js"
};
static const unsigned char account_js[] = {
#embed "../../Web/admin/pages/account.js"
};
static const unsigned char records_js[] = {
#embed "../../Web/admin/pages/records.js"
};
static const unsigned char icon_svg[] = {
#embed "../../Web/admin/icon.svg"
};

static const struct web_file files[] = {
    {"index.html", index_html, sizeof index_html},
    {"style.css", style_css, sizeof style_css},
    {"app.js", app_js, sizeof app_js},
    {"api.js", api_js, sizeof api_js},
    {"live.js", live_js, sizeof live_js},
    {"draw.js", draw_js, sizeof draw_js},
    {"pages/door.js", door_js, sizeof door_js},
    {"pages/dashboard.js", dashboard_js, sizeof dashboard_js},
    {"pages/calls.js", calls_js, sizeof calls_js},
    {"pages/destinations.js", destinations_js, sizeof destinations_js},
    {"pages/pbx.js", pbx_js, sizeof pbx_js},
    {"pages/keys.js", keys_js, sizeof keys_js},
    {"pages/users.js", users_js, sizeof users_js},
    {"pages/account.js", account_js, sizeof account_js},
    {"pages/records.js", records_js, sizeof records_js},
    {"icon.svg", icon_svg, sizeof icon_svg},
};

const struct web_file *web_files(int *count) {
  *count = sizeof files / sizeof *files;
  return files;
}
