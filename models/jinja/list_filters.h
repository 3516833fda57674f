// Filters of lists: list_filters.cc. The others are in filters.cc.
#ifndef WEFT_MODELS_JINJA_LIST_FILTERS_H_
#define WEFT_MODELS_JINJA_LIST_FILTERS_H_

#include "models/jinja/interpreter.h"

namespace weft::inline v0::jinja {

// Null where there is none of that name.
Builtin FindListFilter(absl::string_view name);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_LIST_FILTERS_H_
