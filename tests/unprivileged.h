// Tests of what permissions refuse, also when root runs them.
#ifndef WEFT_TESTS_UNPRIVILEGED_H_
#define WEFT_TESTS_UNPRIVILEGED_H_

#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace weft::inline v0 {

// While it lives, root is nobody: permissions stop any other user anyway. Real
// ids change too, since access() asks for those.
class Unprivileged {
 public:
  Unprivileged() {
    if (is_root_) ok_ = setresuid(kNobody, kNobody, 0) == 0;
  }
  ~Unprivileged() {
    if (is_root_ && ok_) {
      EXPECT_EQ(setresuid(0, 0, 0), 0);
    }
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

  // False where root cannot be given up: nothing can be tested then.
  bool ok() const { return ok_; }

  // Makes a file or folder that user's own.
  static void Own(const std::string& path) {
    if (geteuid() == 0) {
      ASSERT_EQ(chown(path.c_str(), kNobody, kNobody), 0);
    }
  }

 private:
  static constexpr uid_t kNobody = 65534;
  const bool is_root_ = geteuid() == 0;
  bool ok_ = true;
};

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_UNPRIVILEGED_H_
