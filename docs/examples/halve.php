<?php
// A job: makes the picture that is its body half as wide and high. `run = fastcgi php-cgi`, `script = ./halve.php`.
// Without any extension of PHP: a PPM in, a PPM out.
$picture = file_get_contents('php://input');
if (!preg_match('/^P6\s+([1-9]\d{0,4})\s+([1-9]\d{0,4})\s+255\s/', $picture, $head)) {
    http_response_code(422); // trying again is of no use
    exit('that is no PPM');
}
[$start, $width, $height] = [strlen($head[0]), (int) $head[1], (int) $head[2]];
if (strlen($picture) < $start + 3 * $width * $height) {
    http_response_code(422);
    exit('it is cut off');
}
$small = '';
[$columns, $rows] = [intdiv($width, 2), intdiv($height, 2)];
for ($y = 0; $y < $rows; ++$y) {
    if ($y % 100 == 0) {
        error_log("reeve-progress: $y of $rows"); // FastCGI's standard error
    }
    for ($x = 0; $x < $columns; ++$x) {
        $at = $start + 3 * (2 * $y * $width + 2 * $x);
        for ($color = $at; $color < $at + 3; ++$color) {
            $sum = ord($picture[$color]) + ord($picture[$color + 3]) +
                ord($picture[$color + 3 * $width]) + ord($picture[$color + 3 * $width + 3]);
            $small .= chr(intdiv($sum, 4));
        }
    }
}
header('Content-Type: image/x-portable-pixmap');
echo "P6\n$columns $rows\n255\n$small";
