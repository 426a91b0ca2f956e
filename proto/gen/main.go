package main
import _ "listwatch.dev/proto-gen/internal/kinds"
func main(){}
