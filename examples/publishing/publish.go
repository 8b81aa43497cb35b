// Publishes a text: go run publish.go <topic> <text>
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

func publish(topic, text string) (string, error) {
	url := cmp.Or(os.Getenv("HYDRANT_URL"), "http://localhost:3000") + "/events/" + topic
	response, err := http.Post(url, "text/plain", strings.NewReader(text))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct{ ID, Detail string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(answer.Detail)
	}
	return answer.ID, nil
}

func main() {
	id, err := publish(os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id)
}
