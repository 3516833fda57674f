# Makes the comments of headers Doxygen's: they are plain // and /* here. What
# Doxygen would read as commands, entities or numbers of lines loses that
# meaning. A comment behind code belongs to it, so do its next lines.
function plain(text) {
  gsub(/[@\\<>#&%$]/, "\\\\&", text)
  return text
}
# C's, until its end.
in_c { print plain($0); in_c = !/\*\//; next }
/^ *\/\*/ {
  in_c = !/\*\//
  sub(/\/\*/, "/**")
  print plain($0)
  next
}
/^ *\/\// {
  at = index($0, "//")
  behind = behind && at > 5  # a line of its own at a member's indentation
  print substr($0, 1, at - 1) (behind ? "///< " : "/// ") \
        plain(substr($0, at + 2))
  next
}
{ behind = 0 }
match($0, /[;,{(] +\/\/ /) {
  at = RSTART + RLENGTH - 3
  behind = 1
  print substr($0, 1, at - 1) "///< " plain(substr($0, at + 3))
  next
}
match($0, /[;,] +\/\* /) {
  at = RSTART + RLENGTH - 3
  print substr($0, 1, at - 1) "/**< " plain(substr($0, at + 3))
  in_c = !/\*\//
  next
}
{ print }
