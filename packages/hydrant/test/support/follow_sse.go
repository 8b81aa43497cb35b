// Follows an event stream with net/http, prints the data of each event, and comes back with the last id until an event
// begins with the word that is given. net/http asks for gzip, and decodes it, by itself.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

func follow(url string, id *string, end string) bool {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if *id != "" {
		request.Header.Set("Last-Event-ID", *id)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if !response.Uncompressed {
		panic("it came as it is: nothing was compressed")
	}
	name, data, block := "", "", ""
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			data = value
		case "id":
			block = value
		case "":
			if block != "" {
				*id = block
			}
			if data != "" && !strings.HasPrefix(name, "hydrant:") {
				fmt.Println(data)
				if strings.HasPrefix(data, end) {
					return true
				}
			}
			name, data, block = "", "", ""
		}
	}
	return false
}

func main() {
	id := ""
	for !follow(os.Args[1], &id, os.Args[2]) {
		time.Sleep(20 * time.Millisecond)
	}
}
