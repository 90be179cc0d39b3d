"""The limits of the picture: first those that can fail, the most telling first."""

from __future__ import annotations

from cameo.capture.rule import CHOSEN, MEASURED, OFIQ, Rule

LENGTH = Rule(
    name="length",
    title="Length",
    unit="s",
    sense="at least",
    fail=3,
    warn=5,
    source=f"{CHOSEN}: the shortest clip that gives 12 frames apart and 3 s of speech",
    problem="the clip is too short: {value:.1f} s",
    advice="record 10 to 20 seconds",
)

LIGHT = Rule(
    name="light",
    title="Mean luminance of the picture",
    unit="",
    sense="at least",
    fail=0.03,
    warn=0.1,
    source=f"{CHOSEN}: a lit face in an otherwise black picture gives 0.05, a covered lens under 0.02",
    problem="the picture is black: luminance {value:.3f}",
    advice="take the cover off the lens, and face a window or lamp",
)

FACE = Rule(
    name="face",
    title="Frames with a face",
    unit="%",
    sense="at least",
    fail=50,
    warn=80,
    source=f"{CHOSEN}: half of a 3 s clip still gives a second to work with",
    problem="a face is found in only {value:.0f} % of the pictures",
    advice="film one face from the front, upright, with light from the front",
)

ONE_FACE = Rule(
    name="one_face",
    title="Frames with a second face",
    unit="%",
    sense="at most",
    fail=20,
    warn=5,
    source=f"{CHOSEN}: fewer frames than that are left out one by one",
    problem="two faces in {value:.0f} % of the pictures",
    advice="record alone, with nobody and no portrait in the background",
    component="SingleFacePresent",
)

FACE_SIZE = Rule(
    name="face_size",
    title="Distance between the eyes, in a picture 640 px long",
    unit="px",
    sense="at least",
    fail=24,
    warn=60,
    source=f"{CHOSEN} (fail): what a 64 px generator resolves; {OFIQ}, inter-eye distance (better)",
    problem="the face is too small: {value:.0f} px between the eyes in a picture 640 px long",
    advice="come closer, so that the head fills at least a third of the picture's height",
    component="InterEyeDistance",
)

SHARPNESS = Rule(
    name="sharpness",
    title="Sharpness of the face",
    unit="",
    sense="at least",
    fail=8,
    warn=25,
    source=f"{MEASURED}: eight real clips 60 to 1500, blurred by 3 % of the face's width 2 to 7",
    problem="the face is blurred: sharpness {value:.1f}",
    advice="wipe the lens, hold the camera still and use more light",
    component="Sharpness",
)

OVER_EXPOSED = Rule(
    name="over_exposed",
    title="Over-exposed part of the face",
    unit="%",
    sense="at most",
    fail=20,
    warn=4,
    source=f"{OFIQ}, over-exposure prevention (better); {CHOSEN} (fail)",
    problem="the face is over-exposed: {value:.0f} % of it is white",
    advice="turn away from the sun or lamp that shines on the face",
    component="OverExposurePrevention",
)

UNDER_EXPOSED = Rule(
    name="under_exposed",
    title="Under-exposed part of the face",
    unit="%",
    sense="at most",
    fail=50,
    warn=25,
    source=f"{OFIQ}, under-exposure prevention (fail); {CHOSEN} (better)",
    problem="the face is too dark: {value:.0f} % of it is black",
    advice="face a window or lamp",
    component="UnderExposurePrevention",
)

BRIGHTNESS = Rule(
    name="brightness",
    title="Mean luminance of the face",
    unit="",
    sense="at least",
    fail=0.1,
    warn=0.25,
    source=f"{OFIQ}, mean luminance .25 to .75 (better); {CHOSEN} (fail)",
    problem="the face is too dark: luminance {value:.2f}",
    advice="face a window or lamp",
    component="LuminanceMean",
)

DYNAMIC_RANGE = Rule(
    name="dynamic_range",
    title="Dynamic range of the face",
    unit="bit",
    sense="at least",
    fail=None,
    warn=5,
    source=f"{OFIQ}, dynamic range",
    problem="the picture is flat",
    advice="use light from one side of the camera, and no beauty filter",
    component="DynamicRange",
)

POSE_SPREAD = Rule(
    name="pose_spread",
    title="Turn of the head",
    unit="deg",
    sense="at least",
    fail=None,
    warn=20,
    source="ISO/IEC 29794-5 frontal ±15; chosen: a turn is 20",
    problem="the head hardly turns",
    advice="turn the head slowly to the left and to the right while speaking",
)

MOVEMENT = Rule(
    name="movement",
    title="Frames in which the face moves",
    unit="%",
    sense="at least",
    fail=25,
    warn=60,
    source=f"{MEASURED}: eight real clips 100, a photograph encoded as a clip 0 to 5",
    problem="the picture is frozen: the face moves in {value:.0f} % of the frames",
    advice="record a living person, not a photograph",
)

USABLE = Rule(
    name="usable_frames",
    title="Usable frames",
    unit="",
    sense="at least",
    fail=25,
    warn=75,
    source=f"{CHOSEN}: a second gives the 12 frames of a template, three seconds enough to tune on",
    problem="only {value:.0f} frames can be used",
    advice="record longer, closer and in better light",
)

# Those that only warn.

BRIGHT = Rule(
    name="bright_face",
    title="Mean luminance of the face, upper limit",
    unit="",
    sense="at most",
    fail=None,
    warn=0.75,
    source=f"{OFIQ}, mean luminance .25 to .75",
    problem="the face is too bright",
    advice="turn away from the lamp or sun, or use less light",
    component="LuminanceMean",
)

EVENNESS = Rule(
    name="even_light",
    title="Light on the darker cheek against the lighter one",
    unit="",
    sense="at least",
    fail=None,
    warn=0.5,
    source="ISO/IEC 39794-5, the darkest zone of the face at least half as light as the lightest",
    problem="one side of the face is dark",
    advice="turn towards the light, so that both sides of the face are lit",
    component="IlluminationUniformity",
)

FRONTAL = Rule(
    name="frontal",
    title="Frames that look into the camera",
    unit="%",
    sense="at least",
    fail=None,
    warn=30,
    source=f"ISO/IEC 39794-5, frontal within 15 degrees of yaw; {CHOSEN} (share)",
    problem="the head hardly ever looks into the camera",
    advice="look into the camera between the turns of your head",
    component="HeadPoseYaw",
)

PITCH = Rule(
    name="pitch",
    title="How far the head is raised or lowered",
    unit="deg",
    sense="at most",
    fail=None,
    warn=25,
    source=f"{CHOSEN}: landmarks tell it to 10 degrees; eight real clips 3 to 17",
    problem="the camera looks from above or below",
    advice="hold the camera at the height of your eyes",
    component="HeadPosePitch",
)

ROLL = Rule(
    name="roll",
    title="How far the head leans to the side",
    unit="deg",
    sense="at most",
    fail=None,
    warn=15,
    source="ISO/IEC 39794-5, frontal within 15 degrees; eight real clips 0 to 9",
    problem="the head or the camera is tilted",
    advice="hold the camera and your head upright",
    component="HeadPoseRoll",
)

EYES_OPEN = Rule(
    name="eyes_open",
    title="Frames in which the eyes are at least half as open as they get",
    unit="%",
    sense="at least",
    fail=None,
    warn=40,
    source=f"{CHOSEN}: six real clips in which it can be told 54 to 89",
    problem="the eyes are closed most of the time",
    advice="look into the camera, and do not read from below it",
    component="EyesOpen",
)

MOUTH_CLOSED = Rule(
    name="mouth_closed",
    title="Frames in which the lips part by less than a fifth of the way from eyes to chin",
    unit="%",
    sense="at least",
    fail=None,
    warn=50,
    source=f"{OFIQ}, mouth closed (a fifth); {CHOSEN} (share)",
    problem="the mouth is wide open most of the time",
    advice="speak in your usual way, and close your mouth between sentences",
    component="MouthClosed",
)

MOUTH_MOVES = Rule(
    name="mouth_moves",
    title="Range of the opening of the lips, in distances between the eyes",
    unit="",
    sense="at least",
    fail=None,
    warn=0.04,
    source=f"{CHOSEN}: eight real clips 0.07 to 0.40",
    problem="the mouth hardly moves",
    advice="speak aloud while you record",
)

EYES_VISIBLE = Rule(
    name="eyes_visible",
    title="Lightness of the eyes against the skin below them",
    unit="",
    sense="at least",
    fail=None,
    warn=0.5,
    source=f"{MEASURED}: eight real clips 0.69 to 0.96, the same with dark glasses painted on 0.05 to 0.40",
    problem="the eyes are hidden",
    advice="take dark glasses off, and keep hair out of your eyes",
    component="EyesVisible",
)

MOUTH_VISIBLE = Rule(
    name="mouth_visible",
    title="Redness of the lips against the skin between the eyes, CIELAB a*",
    unit="",
    sense="at least",
    fail=None,
    warn=-6,
    source=f"{MEASURED}: eight real clips 2 to 29, the same with masks painted on -26 to -8",
    problem="the mouth is covered",
    advice="take the mask off, and keep hands and microphone away from the mouth",
    component="MouthOcclusionPrevention",
)

MOTION_BLUR = Rule(
    name="motion_blur",
    title="Frames smeared by movement",
    unit="%",
    sense="at most",
    fail=None,
    warn=20,
    source=f"{CHOSEN}: eight real clips 0",
    problem="the face is smeared by movement",
    advice="move more slowly, hold the camera still and use more light",
)

COMPRESSION = Rule(
    name="compression",
    title="Steps at the borders of coding blocks, against steps beside them",
    unit="",
    sense="at most",
    fail=None,
    warn=1.5,
    source=f"{MEASURED}: eight real clips 1.03 to 1.34, at JPEG quality 15 2.7 to 5",
    problem="the picture is compressed too much",
    advice="use the file as the camera wrote it, not one sent through a chat",
    component="CompressionArtifacts",
)
