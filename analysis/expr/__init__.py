"""A bounded subset of expr-lang (github.com/expr-lang/expr), the language of Argo's conditions. Pure; no `eval`."""
