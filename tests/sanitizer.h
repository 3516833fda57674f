// Whether this program runs under a sanitizer, which takes memory and time of
// its own: limits of either mean nothing then.
#ifndef WEFT_TESTS_SANITIZER_H_
#define WEFT_TESTS_SANITIZER_H_

namespace weft::inline v0 {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_SANITIZER_H_
