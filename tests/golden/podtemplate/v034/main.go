// Command podtemplate prints, for the k8s.io/api version it is built with, either the typed shape of a
// PodTemplateSpec (field order, omitempty, merge keys) or templates that set every field, with the JSON that Go
// encodes and the pod-template-hash of it. Both are found by reflection, so that nothing is copied by hand.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand"
	"os"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
)

var leaves = map[reflect.Type]string{
	reflect.TypeOf(resource.Quantity{}):  "quantity",
	reflect.TypeOf(intstr.IntOrString{}): "intorstring",
	reflect.TypeOf(metav1.Time{}):        "time",
	reflect.TypeOf(metav1.FieldsV1{}):    "raw",
	reflect.TypeOf([]byte{}):             "bytes",
}

func expression(t reflect.Type, queue *[]reflect.Type) string {
	if name, ok := leaves[t]; ok {
		return name
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + expression(t.Elem(), queue)
	case reflect.Slice:
		return "[]" + expression(t.Elem(), queue)
	case reflect.Map:
		return "{}" + expression(t.Elem(), queue)
	case reflect.Struct:
		*queue = append(*queue, t)
		return "#" + t.Name()
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "int"
	}
	panic("no expression for " + t.String())
}

func shape(t reflect.Type, queue *[]reflect.Type) [][]string {
	fields := [][]string{}
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			fields = append(fields, shape(f.Type, queue)...)
			continue
		}
		omit := ""
		if strings.Contains(options, "omitempty") {
			omit = "e"
		}
		if strings.Contains(options, "omitzero") {
			omit += "z"
		}
		fields = append(fields, []string{name, expression(f.Type, queue), omit, f.Tag.Get("patchMergeKey")})
	}
	return fields
}

func shapes() map[string][][]string {
	all := map[string][][]string{}
	queue := []reflect.Type{reflect.TypeOf(corev1.PodTemplateSpec{})}
	for len(queue) > 0 {
		t := queue[0]
		queue = queue[1:]
		if _, done := all[t.Name()]; !done {
			all[t.Name()] = nil
			all[t.Name()] = shape(t, &queue)
		}
	}
	return all
}

var words = []string{"a", "web-1", "<b> & \"c\"", "zażółć \u2028 \t", "10.0.0.1", "x/y:z@1"}
var quantities = []string{"100m", "0.5", "1.5Gi", "1024Ki", "0.001", "2", "1e3", "1500m", "1000Ki", "12E", "0", "512", "3.75M", "0.1Ki", "100n", "1E6", "-5Mi"}

func fill(v reflect.Value, random *rand.Rand, depth int, all bool) {
	if !all && random.Intn(5) == 0 {
		return
	}
	switch v.Type() {
	case reflect.TypeOf(resource.Quantity{}):
		v.Set(reflect.ValueOf(resource.MustParse(quantities[random.Intn(len(quantities))])))
		return
	case reflect.TypeOf(intstr.IntOrString{}):
		if random.Intn(2) == 0 {
			v.Set(reflect.ValueOf(intstr.FromInt32(8080)))
		} else {
			v.Set(reflect.ValueOf(intstr.FromString("http")))
		}
		return
	case reflect.TypeOf(metav1.Time{}):
		v.Set(reflect.ValueOf(metav1.Unix(1700000000, 0)))
		return
	case reflect.TypeOf(metav1.FieldsV1{}):
		v.Set(reflect.ValueOf(metav1.FieldsV1{Raw: []byte(`{"f:a":{}}`)}))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		fill(p.Elem(), random, depth+1, all)
		v.Set(p)
	case reflect.Slice:
		n := 1 + random.Intn(4)/3
		s := reflect.MakeSlice(v.Type(), n, n)
		for i := 0; i < n; i++ {
			fill(s.Index(i), random, depth+1, all)
		}
		v.Set(s)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		for i := 0; i < 2; i++ {
			key := reflect.New(v.Type().Key()).Elem()
			key.SetString(fmt.Sprintf("key%d<%d", 2-i, random.Intn(3)))
			value := reflect.New(v.Type().Elem()).Elem()
			fill(value, random, depth+1, all)
			m.SetMapIndex(key, value)
		}
		v.Set(m)
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			fill(v.Field(i), random, depth+1, all)
		}
	case reflect.String:
		v.SetString(words[random.Intn(len(words))])
	case reflect.Bool:
		v.SetBool(all || random.Intn(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(1 + random.Intn(100000)))
	}
}

type golden struct {
	Template  json.RawMessage `json:"template"`
	Collision *int32          `json:"collisionCount"`
	Hash      string          `json:"hash"`
}

func hash(encoded []byte, collision *int32) string {
	hasher := fnv.New32a()
	hasher.Write(encoded)
	if collision != nil {
		suffix := make([]byte, 8)
		suffix[0], suffix[1] = byte(*collision), byte(*collision>>8)
		hasher.Write(suffix)
	}
	return utilrand.SafeEncodeString(fmt.Sprint(hasher.Sum32()))
}

// answer reads a template as the API server stores it and says what Go makes of it.
func answer(stored []byte, collision *int32) golden {
	var typed corev1.PodTemplateSpec
	if err := json.Unmarshal(stored, &typed); err != nil {
		panic(err)
	}
	encoded, err := json.Marshal(typed)
	if err != nil {
		panic(err)
	}
	return golden{stored, collision, hash(encoded, collision)}
}

func goldens() []golden {
	all := []golden{}
	for seed := int64(0); seed < 9; seed++ {
		var template corev1.PodTemplateSpec
		fill(reflect.ValueOf(&template).Elem(), rand.New(rand.NewSource(seed)), 0, seed < 4)
		stored, err := json.Marshal(template)
		if err != nil {
			panic(err)
		}
		var collision *int32
		if seed%3 == 2 {
			count := int32(seed)
			collision = &count
		}
		all = append(all, answer(stored, collision))
	}
	for _, q := range quantities {
		text := fmt.Sprintf(`{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":%q},"requests":{"memory":%q}}}]}}`, q, q)
		all = append(all, answer([]byte(text), nil))
	}
	for _, text := range []string{`{}`, `{"metadata":{"labels":{}},"spec":{"containers":[]}}`, `{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":2,"memory":1.5}},"env":[{"name":"A","value":""}],"command":[]}],"hostNetwork":false,"terminationGracePeriodSeconds":0,"unknown":{"x":1}}}`} {
		all = append(all, answer([]byte(text), nil))
	}
	return all
}

func main() {
	var out any
	switch os.Args[1] {
	case "shapes":
		out = shapes()
	case "goldens":
		out = goldens()
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil {
		panic(err)
	}
	os.Stdout.Write(buffer.Bytes())
}
