<?php
// What all pages of the application share.
function page(string $title, string $body): void
{
    header('Content-Type: text/html; charset=utf-8');
    echo "<!doctype html>\n<title>", htmlspecialchars($title), "</title>\n<h1>", htmlspecialchars($title), "</h1>\n", $body;
}

function json(array $what): void
{
    header('Content-Type: application/json');
    echo json_encode($what, JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
}
