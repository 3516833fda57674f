// The two macros for absl::Status; the only macros of our own.
#ifndef WEFT_GRAPH_STATUS_MACROS_H_
#define WEFT_GRAPH_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expr` (an absl::Status) is not OK.
#define WEFT_RETURN_IF_ERROR(expr)                   \
  do {                                               \
    if (absl::Status weft_status_ = (expr); !weft_status_.ok()) \
      return weft_status_;                           \
  } while (false)

// WEFT_ASSIGN_OR_RETURN(auto x, MakeX()): declares x or returns the error.
#define WEFT_ASSIGN_OR_RETURN(lhs, expr) \
  WEFT_ASSIGN_OR_RETURN_(WEFT_CONCAT_(weft_statusor_, __LINE__), lhs, expr)
#define WEFT_ASSIGN_OR_RETURN_(var, lhs, expr) \
  auto var = (expr);                           \
  if (!var.ok()) return std::move(var).status(); \
  lhs = *std::move(var)
#define WEFT_CONCAT_(a, b) WEFT_CONCAT_IMPL_(a, b)
#define WEFT_CONCAT_IMPL_(a, b) a##b

#endif  // WEFT_GRAPH_STATUS_MACROS_H_
