// The admin pages as they stand in Web/, put into the binary when it is built: nothing to install, nothing to miss.
#pragma once
#include <stddef.h>

struct web_file {
  /// Below /admin/.
  const char *name;
  const unsigned char *bytes;
  size_t size;
};

/// All of them; `count` says how many.
const struct web_file *web_files(int *count);
