# Our headers' comments, as Doxygen wants them. They are written to be read in the header: free text, and blocks indented
# by three spaces or more that are formulas or tables. Line by line, so that the numbers in its warnings stay right:
#
#   /// comments            become /** comments */: in the former a \verbatim block would show its slashes
#   line 1, the licence     becomes \file, so that the comment below it describes the file, not what comes next in it
#   an indented block       becomes \verbatim, unless it continues an item of a list
#   < > # @ \ % in text     are escaped, but not between backticks
#   a, b;  // words         documents these members of a struct, class or enum

function escaped(text, parts, n, i, result) {
  n = split(text, parts, "`")
  for (i = 1; i <= n; ++i) {
    if (i % 2) gsub(/[<>#@\\%]/, "\\\\&", parts[i])
    result = result (i > 1 ? "`" : "") parts[i]
  }
  return result
}

# "view<T, 3> a{}, b{};  // words" as "view<T, 3> a{}; /**< words */ view<T, 3> b{}; /**< words */": Doxygen would give
# the words to b alone. Of as many [shapes] as there are members, each gets its own.
function members(line, words, shapes, n, depth, i, c, type, from, member, count, result) {
  i = match(line, /[;,] +\/\/ /)
  words = substr(line, i + RLENGTH)
  gsub(/  +/, "; ", words)
  words = escaped(words)
  line = substr(line, 1, i)
  if (line ~ /\(|,$/) return line " /**< " words " */" # a function or an enumerator
  for (i = 3; i <= length(line); ++i) {
    c = substr(line, i, 1)
    if (c ~ /[<{(]/) ++depth
    if (c ~ /[>})]/) --depth
    if (depth) continue
    if (c == " " && !type && substr(line, 3, i - 3) !~ /(const|static|constexpr|unsigned)$/) {
      type = substr(line, 1, i - 1)
      from = i
    }
    if (c ~ /[,;]/ && type) {
      member[++count] = substr(line, from, i - from)
      from = i + 1
    }
  }
  n = split(words, shapes, /, *\[/)
  for (i = 1; i <= count; ++i)
    result = result type member[i] "; /**< " (n > 1 && n == count ? (i > 1 ? "[" : "") shapes[i] : words) " */"
  return result
}

NR == 1 && /SPDX/ { $0 = "/// \\file" }
{
  line = $0
  comment = match(line, /^ *\/\/\//)
  margin = substr(line, 1, RLENGTH - 3)
  block = comment && !item && line ~ /^ *\/\/\/   +[^ ]/
  if (comment) {
    text = substr(line, RLENGTH + 1)
    if (!block) {
      item = text ~ /^ [*-] / || (item && text ~ /^   /)
      if (NR > 1) text = escaped(text)
    }
    line = margin (in_comment ? "   " : "/**") text
  } else {
    item = 0
    if (line ~ /^(struct|class|enum) /) in_type = 1
    if (line ~ /^}/) in_type = 0
    if (in_type && line ~ /^  [^ ].*[;,] +\/\/ /) line = members(line)
  }
  if (block && !in_block) previous = previous " \\verbatim"
  if (!block && in_block) previous = previous " \\endverbatim"
  if (!comment && in_comment) previous = previous " */"
  in_block = block
  in_comment = comment
  if (NR > 1) print previous
  previous = line
}
END { print previous }
