<?php
// Publishes a text: php publish.php <topic> <text>

function publish(string $topic, string $text): string
{
    $url = (getenv('HYDRANT_URL') ?: 'http://localhost:3000') . '/events/' . $topic;
    $post = ['method' => 'POST', 'header' => 'Content-Type: text/plain', 'content' => $text, 'ignore_errors' => true];
    $answer = json_decode(file_get_contents($url, context: stream_context_create(['http' => $post])));
    return $answer->id ?? throw new RuntimeException($answer->detail ?? 'no answer');
}

echo publish($argv[1], $argv[2]), "\n";
