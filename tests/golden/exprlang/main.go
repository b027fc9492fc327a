// Command exprlang answers conditions with expr-lang itself, in Argo's environment
// (utils/evaluate/evaluate.go of Argo Rollouts): JSON lines {expr, result} in, {value} or {error} out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/expr-lang/expr"
)

type question struct {
	Expr   string `json:"expr"`
	Result any    `json:"result"`
}

type answer struct {
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
}

func asInt(in any) int64 {
	switch v := in.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case float64:
		return int64(v)
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	panic(fmt.Sprintf("asInt() not supported on %T", in))
}

func asFloat(in any) float64 {
	switch v := in.(type) {
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	case string:
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	panic(fmt.Sprintf("asFloat() not supported on %T", in))
}

// decoded turns {"$float": "NaN"} into the float it stands for, which JSON cannot write.
func decoded(in any) any {
	switch v := in.(type) {
	case map[string]any:
		if text, ok := v["$float"].(string); ok {
			n, _ := strconv.ParseFloat(text, 64)
			return n
		}
		for key, item := range v {
			v[key] = decoded(item)
		}
	case []any:
		for i, item := range v {
			v[i] = decoded(item)
		}
	}
	return in
}

func encoded(in any) any {
	switch v := in.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return map[string]string{"$float": strconv.FormatFloat(v, 'g', -1, 64)}
		}
		return map[string]string{"$float": strconv.FormatFloat(v, 'g', -1, 64)}
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = encoded(item)
		}
		return out
	}
	return in
}

func ask(q question) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a = answer{Error: fmt.Sprint(r)}
		}
	}()
	env := map[string]any{
		"result":  decoded(q.Result),
		"asInt":   asInt,
		"asFloat": asFloat,
		"isNaN":   math.IsNaN,
		"isInf":   func(f float64) bool { return math.IsInf(f, 0) },
		"isNil":   func(in any) bool { return in == nil },
		"default": func(in any, other any) any {
			if in == nil {
				return other
			}
			return in
		},
	}
	// Types come from values in Argo too; as interfaces they are unknown to the checker, as with a web metric.
	program, err := expr.Compile(q.Expr, expr.Env(map[string]any{
		"asInt": env["asInt"], "asFloat": env["asFloat"], "isNaN": env["isNaN"], "isInf": env["isInf"],
		"isNil": env["isNil"], "default": env["default"],
	}), expr.AllowUndefinedVariables())
	if err != nil {
		return answer{Error: "compile: " + err.Error()}
	}
	out, err := expr.Run(program, env)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Value: encoded(out)}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			panic(err)
		}
		if err := out.Encode(ask(q)); err != nil {
			panic(err)
		}
	}
}
