# Makes the comments of headers Doxygen's: they are plain // and /* here. What
# Doxygen would read as commands, entities or numbers of lines loses that
# meaning. A comment behind code belongs to it, so do its next lines. One above
# several declarations belongs to all of them, up to an empty line.
function plain(text) {
  gsub(/[@\\<>#&%$]/, "\\\\&", text)
  return text
}
# A line of a comment that stands above code.
function above(text) {
  if (code) {  # the first line
    lines = code = 0
    match($0, /^ */)
    indent = RLENGTH
  }
  comment[++lines] = text
  print text
}
function code_line(text, own, i) {
  match(text, /^ */)
  if (RLENGTH == indent && text !~ /^ *[}#]/) {
    if (ended && !own)
      for (i = 1; i <= lines; ++i) print comment[i]
    sub(/ +\/[\/*].*/, "", text)
    ended = text ~ /[;}]$/
  } else if (RLENGTH < indent || text ~ /^ *#/) {
    lines = 0
  } else if (RLENGTH == indent) {
    ended = 1  # the end of a body
  } else {
    ended = ended || text ~ /[;}]$/  # the end of a declaration of several lines
  }
  code = 1
}
BEGIN { code = 1 }

# A headline is nobody's.
/^ *(\/\/|\/\*) ----/ { lines = 0; code = 1; print; next }
# C's, until its end.
in_c {
  if (in_c == 1) above(plain($0)); else print plain($0)
  if (/\*\//) in_c = 0
  next
}
/^ *\/\*/ {
  ended = 0
  text = $0
  sub(/\/\*/, "/**", text)
  above(plain(text))
  in_c = !/\*\//
  next
}
/^ *\/\// {
  at = index($0, "//")
  behind = behind && at > 5  # a line of its own at a member's indentation
  text = substr($0, 1, at - 1) (behind ? "///< " : "/// ") \
         plain(substr($0, at + 2))
  if (behind) print text; else { ended = 0; above(text) }
  next
}
{ behind = 0 }
# Behind the head of a type: it belongs above it.
match($0, /[{] +\/[\/*] /) && /^ *(typedef )?(struct|class|enum) / {
  text = substr($0, RSTART + RLENGTH)
  sub(/ *\*\/$/, "", text)
  print "/** " plain(text) " */"
  $0 = substr($0, 1, RSTART)
  code_line($0, 1)
  print
  next
}
/^ *$/ { lines = 0; code = 1; print; next }
match($0, /[;,{(] +\/\/ /) {
  at = RSTART + RLENGTH - 3
  behind = 1
  code_line($0, 1)
  print substr($0, 1, at - 1) "///< " plain(substr($0, at + 3))
  next
}
match($0, /[;,] +\/\* /) {
  at = RSTART + RLENGTH - 3
  code_line($0, 1)
  print substr($0, 1, at - 1) "/**< " plain(substr($0, at + 3))
  in_c = /\*\// ? 0 : 2
  next
}
{ code_line($0, 0); print }
